"""RSNA Pneumonia Detection Challenge (2018): DICOM films of NIH patients, read by radiologists."""

from __future__ import annotations

import json
from pathlib import Path

from train.data.adapters.headers import columns, header_of
from train.data.adapters.tables import lines
from train.data.manifest import NORMAL, NOT_NORMAL, PNEUMONIA, Row

TABLE = "stage_2_detailed_class_info.csv"
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"

#: The challenge's three classes -> label, what the radiologists said.
CLASSES = {
    "Normal": (NORMAL, "normal"),
    "Lung Opacity": (PNEUMONIA, "opacity"),
    "No Lung Opacity / Not Normal": (NOT_NORMAL, "not-normal"),
}


def rsna(folder: Path) -> list[Row]:
    """Read the table of classes and the films in ``stage_2_train_images``, all three classes.

    The challenge's "patientId" names a film. RSNA publishes the NIH name of each film in a second
    file; without that file every film counts as its own patient.
    """
    names = nih_names(folder / MAPPING)
    return [
        _row(folder, path, found, names.get(film, film))
        for film, found in classes(folder / TABLE).items()
        if (folder / (path := f"stage_2_train_images/{film}.dcm")).exists()
    ]


def classes(table: Path) -> dict[str, str]:
    """Film -> one of `CLASSES`; the table has a line for each box of a film."""
    return {line["patientId"]: line["class"] for line in lines(table) if line["class"] in CLASSES}


def nih_names(mapping: Path) -> dict[str, str]:
    """Film -> NIH name without its ending, ``00000001_000``; empty if there is no mapping."""
    if not mapping.exists():
        return {}
    entries = json.loads(mapping.read_text(encoding="utf-8"))
    return {entry["subset_img_id"]: entry["img_id"].removesuffix(".png") for entry in entries}


def _row(folder: Path, path: str, found: str, name: str) -> Row:
    label, radiologist = CLASSES[found]
    header = header_of(folder / path)
    return Row(
        path=path,
        label=label,
        radiologist=radiologist,
        patient=name.split("_")[0],
        source="rsna",
        licence="RSNA challenge terms; NIH ChestX-ray14, attribution",
        **(columns(header) if header else {}),
    )
