"""RSNA Pneumonia Detection Challenge (2018): DICOM films of NIH patients, two tables."""

from __future__ import annotations

import json
from pathlib import Path

from train.data.adapters.tables import lines
from train.data.manifest import NORMAL, PNEUMONIA, Row

# "No Lung Opacity / Not Normal" is neither class.
_LABELS = {"Normal": NORMAL, "Lung Opacity": PNEUMONIA}
_MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"


def rsna(folder: Path) -> list[Row]:
    """Read ``stage_2_detailed_class_info.csv`` and the films in ``stage_2_train_images``.

    The challenge's "patientId" names a film. Who is the same person stands in the mapping to the
    NIH names that RSNA publishes beside it; without that file every film is its own patient.
    """
    people = _people(folder / _MAPPING)
    classes = {  # a film has a line for each of its boxes
        line["patientId"]: line["class"]
        for line in lines(folder / "stage_2_detailed_class_info.csv")
    }
    return [
        Row(
            path=path,
            label=_LABELS[found],
            patient=people.get(film, film),
            source="rsna",
            licence="RSNA challenge terms; NIH ChestX-ray14, attribution",
        )
        for film, found in classes.items()
        if found in _LABELS and (folder / (path := f"stage_2_train_images/{film}.dcm")).exists()
    ]


def _people(mapping: Path) -> dict[str, str]:
    """Film -> NIH patient, the first part of the NIH name ``00000001_000.png``."""
    if not mapping.exists():
        return {}
    entries = json.loads(mapping.read_text(encoding="utf-8"))
    return {entry["subset_img_id"]: entry["img_id"].split("_")[0] for entry in entries}
