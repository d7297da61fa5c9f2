"""A hospital's own films: a folder of DICOM files and a table of labels.

``labels.csv`` has a column ``label`` (normal, pneumonia, covid) and one that says which film is
meant: ``path``, ``sop_instance_uid``, ``study_instance_uid`` or ``accession_number``. No name and
no number of a patient leaves the DICOM header: patients are told apart by a hash.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node import pixels
from dicom_node.errors import Refused
from train.data.adapters.tables import lines, sex, years
from train.data.manifest import Row

if TYPE_CHECKING:
    from pydicom import Dataset

_KEYWORDS = {
    "sop_instance_uid": "SOPInstanceUID",
    "study_instance_uid": "StudyInstanceUID",
    "accession_number": "AccessionNumber",
}


def clinical(folder: Path) -> list[Row]:
    """Read every DICOM file below ``folder`` that ``labels.csv`` has a label for."""
    labels = {
        (name, line[name]): line["label"].lower()
        for line in lines(folder / "labels.csv")
        for name in ("path", *_KEYWORDS)
        if line.get(name)
    }
    return [row for path in sorted(folder.rglob("*")) if (row := _row(path, folder, labels))]


def _row(path: Path, folder: Path, labels: dict[tuple[str, str], str]) -> Row | None:
    relative = path.relative_to(folder).as_posix()
    if not path.is_file() or path.suffix == ".csv":
        return None
    try:
        header = pixels.read_dataset(path)
    except Refused:
        return None
    keys = [("path", relative)]
    keys += [(name, str(header.get(keyword, ""))) for name, keyword in _KEYWORDS.items()]
    label = next((labels[key] for key in keys if key in labels), None)
    if label is None:
        return None
    return Row(
        path=relative,
        label=label,
        view=str(header.get("ViewPosition", "")),
        age=years(str(header.get("PatientAge", ""))),
        sex=sex(str(header.get("PatientSex", ""))),
        patient=_patient(header),
        source=folder.name,
        licence="not for distribution",
    )


def _patient(header: Dataset) -> str:
    who = f"{header.get('IssuerOfPatientID', '')}\n{header.get('PatientID', '')}"
    return hashlib.sha256(who.encode()).hexdigest()[:16] if header.get("PatientID") else ""
