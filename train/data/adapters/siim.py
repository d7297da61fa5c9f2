"""SIIM-FISABIO-RSNA COVID-19 Detection (2021): DICOM films in folders of study and series.

Radiologists graded each study. "Negative for Pneumonia" says nothing of other findings, and an
indeterminate or atypical appearance may still be COVID-19; films so graded keep the grade as their
label and teach neither stage.
"""

from __future__ import annotations

from pathlib import Path

from train.data.adapters.headers import columns, header_of
from train.data.adapters.tables import lines
from train.data.manifest import COVID, Row

_TABLE = "train_study_level.csv"
#: Grade -> label, what the radiologists said.
_GRADES = {
    "Negative for Pneumonia": ("negative", ""),
    "Typical Appearance": (COVID, "opacity"),
    "Indeterminate Appearance": ("indeterminate", "opacity"),
    "Atypical Appearance": ("atypical", "opacity"),
}


def siim(folder: Path) -> list[Row]:
    """Read ``train_study_level.csv`` and ``train/STUDY/SERIES/*.dcm``.

    The publisher has replaced PatientID; a study without one counts as a patient.
    """
    return [
        row
        for line in lines(folder / _TABLE)
        if (grade := next((name for name in _GRADES if line.get(name) == "1"), None))
        for film in sorted((folder / "train" / line["id"].removesuffix("_study")).glob("*/*.dcm"))
        if (row := _row(film, folder, grade))
    ]


def _row(film: Path, folder: Path, grade: str) -> Row | None:
    label, radiologist = _GRADES[grade]
    header = header_of(film)
    if header is None:
        return None
    return Row(
        path=film.relative_to(folder).as_posix(),
        label=label,
        findings=grade,
        radiologist=radiologist,
        patient=str(header.get("PatientID", "")) or film.parts[-3],
        source="siim",
        licence="SIIM-FISABIO-RSNA challenge terms; CC BY-NC 4.0",
        **columns(header),
    )
