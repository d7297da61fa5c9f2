"""A hospital's own films: a folder of DICOM files and a table of labels.

``labels.csv`` has a column ``label`` (normal, pneumonia, covid, not-normal, or any other word for a
film that teaches neither stage; a label from report text begins with ``text-``) and at least one
that says which film is meant: ``path``, ``sop_instance_uid``, ``study_instance_uid`` or
``accession_number``. Optional columns: ``radiologist`` (normal, opacity, not-normal), ``lung_mask``
and ``infection_mask`` (paths relative to the folder), ``convention`` of the lung mask (aerated,
field). No name and no number of a patient leaves the DICOM header: the manifest has a hash.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from train.data.adapters.headers import columns, header_of
from train.data.adapters.tables import lines, with_lung_row
from train.data.manifest import AERATED, Row

if TYPE_CHECKING:
    from pydicom import Dataset

_TABLE = "labels.csv"
_MASKS = ("lung_mask", "infection_mask")
_KEYWORDS = {
    "sop_instance_uid": "SOPInstanceUID",
    "study_instance_uid": "StudyInstanceUID",
    "accession_number": "AccessionNumber",
}


def clinical(folder: Path) -> list[Row]:
    """Read every DICOM file below ``folder`` that ``labels.csv`` has a label for.

    Raises
    ------
    FileNotFoundError
        There is no table, or no such mask as it names.
    """
    table = {
        (name, line[name]): line
        for line in lines(folder / _TABLE)
        for name in ("path", *_KEYWORDS)
        if line.get(name)
    }
    masks = {mask for line in table.values() for kind in _MASKS if (mask := line.get(kind))}
    if lost := sorted(mask for mask in masks if not (folder / mask).is_file()):
        raise FileNotFoundError(f"{_TABLE} names masks that are not there: {', '.join(lost)}")
    return [
        row
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".csv"
        for row in _rows(path, folder, table)
    ]


def _rows(path: Path, folder: Path, table: dict[tuple[str, str], dict[str, str]]) -> list[Row]:
    relative = path.relative_to(folder).as_posix()
    header = header_of(path)
    if header is None:
        return []
    keys = [("path", relative)]
    keys += [(name, str(header.get(keyword, ""))) for name, keyword in _KEYWORDS.items()]
    line = next((table[key] for key in keys if key in table), None)
    if line is None:
        return []
    row = Row(
        path=relative,
        label=line["label"].lower(),
        radiologist=line.get("radiologist", "").lower(),
        patient=_patient(header),
        source=folder.name,
        licence="not for distribution",
        lung_mask=line.get("lung_mask", ""),
        infection_mask=line.get("infection_mask", ""),
        **columns(header),
    )
    return with_lung_row(row, line.get("convention") or AERATED)


def _patient(header: Dataset) -> str:
    who = f"{header.get('IssuerOfPatientID', '')}\n{header.get('PatientID', '')}"
    return hashlib.sha256(who.encode()).hexdigest()[:16] if header.get("PatientID") else ""
