"""The manifest, one row per film: every data set is converted to it before training reads it.

A data folder holds ``manifest.csv`` with the columns of `Row`. A folder that keeps labelled films
and films with lung masks apart (``cxr/manifest.csv``, ``lungs/manifest.csv``) is read as one.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

NAME = "manifest.csv"

#: Labels. Stage 2: normal against the others; stage 3: the others.
NORMAL, PNEUMONIA, COVID = "normal", "pneumonia", "covid"
#: Radiologists saw no lung opacity, and the film is not normal: neither side of stage 2.
NOT_NORMAL = "not-normal"
#: Labels mined from report text begin with this; no network is trained or measured by them.
TEXT = "text-"

#: Lung-mask conventions: radiologists' outline of the aerated lung, or the field behind the heart.
AERATED, FIELD = "aerated", "field"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One film. Paths are relative to the manifest's folder; "" is unknown."""

    path: str
    mask: str = ""  # of the lungs; several, separated by "|", are joined
    convention: str = ""  # of the mask, begins with AERATED or FIELD
    split: str = ""  # train, val, test, or a name of the data set's own
    label: str = ""
    pathogen: str = ""
    findings: str = ""  # mined from report text
    radiologist: str = ""  # what radiologists said of the film: normal, opacity, not-normal
    view: str = ""  # PA, AP, lateral...
    age: str = ""  # years
    sex: str = ""  # M, F
    patient: str = ""
    group: str = ""  # what must stay in one split: a patient's films and copies of them
    source: str = ""
    subsource: str = ""
    licence: str = ""
    lung_mask: str = ""  # of a labelled film; `mask` is of a row that teaches stage 1
    infection_mask: str = ""  # drawn by people: where the pneumonia is


# Columns of the folder-pair layout that have another name there.
_CXR = {"patient": "patient_id", "group": "group_id"}
_LUNGS = _CXR | {"path": "image"}


def read(data: Path) -> list[Row]:
    """Read a data folder's rows; their paths are relative to ``data``.

    Raises
    ------
    FileNotFoundError
        The folder holds no manifest.
    """
    if (data / NAME).exists():
        return list(_rows(data / NAME, {}, ""))
    pair = [("cxr", _CXR), ("lungs", _LUNGS)]
    found = [(folder, names) for folder, names in pair if (data / folder / NAME).exists()]
    if not found:
        raise FileNotFoundError(
            f"{data} holds no {NAME}; write one with `python -m train manifest`"
        )
    return [
        row for folder, names in found for row in _rows(data / folder / NAME, names, f"{folder}/")
    ]


def write(rows: Iterable[Row], path: Path) -> None:
    """Write a manifest, UTF-8 CSV with the columns of `Row`; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def _rows(path: Path, names: dict[str, str], prefix: str) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            values = {f.name: line.get(names.get(f.name, f.name)) or "" for f in fields(Row)}
            for name in ("path", "mask", "lung_mask", "infection_mask"):
                values[name] = "|".join(prefix + one for one in values[name].split("|") if one)
            yield Row(**values)
