"""PadChest (Bustos et al. 2020): 16 bit PNG in numbered folders, one table of labels.

Physicians labelled 27 % of the reports by hand; a network read the others, and labels of these
begin with ``text-``.
"""

from __future__ import annotations

import ast
from pathlib import Path

from train.data.adapters.tables import lines, sex, years
from train.data.manifest import NORMAL, PNEUMONIA, TEXT, Row

_FRONTAL = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP"}
_YEAR = 4  # a StudyDate_DICOM begins with the year


def padchest(folder: Path) -> list[Row]:
    """Read the table and the films that are there; only frontal, only normal or pneumonia."""
    table = next(iter(sorted(folder.glob("PADCHEST_chest_x_ray_images_labels_160K*.csv"))), None)
    return [] if table is None else [row for line in lines(table) if (row := _row(line, folder))]


def _row(line: dict[str, str], folder: Path) -> Row | None:
    label, view = _label(line["Labels"]), _FRONTAL.get(line["Projection"])
    path = f"{line['ImageDir']}/{line['ImageID']}"
    if label is None or view is None or not (folder / path).exists():
        return None
    return Row(
        path=path,
        label=label if line.get("MethodLabel") == "Physician" else TEXT + label,
        view=view,
        age=_age(line["StudyDate_DICOM"], line["PatientBirth"]),
        sex=sex(line["PatientSex_DICOM"]),
        patient=line["PatientID"],
        source="padchest",
        licence="CC BY-SA 4.0, PadChest terms of use",
    )


def _label(cell: str) -> str | None:
    """The cell is a Python list of words."""
    try:
        found = {str(word).strip() for word in ast.literal_eval(cell)}
    except (ValueError, SyntaxError):
        return None
    if found == {"normal"}:
        return NORMAL
    return PNEUMONIA if any(word.endswith("pneumonia") for word in found) else None


def _age(study_date: str, birth: str) -> str:
    year, born = years(study_date[:_YEAR]), years(birth)
    return str(int(year) - int(born)) if year and born else ""
