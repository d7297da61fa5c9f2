"""The films of a hospital as DICOM objects, dated over half a year, and the reports on them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pydicom.uid import generate_uid
from support.film import Stored, film, write
from support.reports import oru

from train.data.films import NORMAL, PNEUMONIA, load_pixels
from train.data.manifest import read

_FIRST, _DAYS = date(2026, 1, 5), 180
_SOURCE = "kermany"
_TEXTS = {
    NORMAL: (
        "Lungs are clear. No evidence of pneumonia.",
        "Herz und Lunge unauffällig. Kein Hinweis auf Pneumonie.",
    ),
    PNEUMONIA: (
        "Consolidation in the right lower lobe: pneumonia.",
        "Bronchopneumonie links basal. Kein Pleuraerguss.",
    ),
}
_KNOWN = ("nih", "quex")  # what the shipped version learned from, without their training films


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One patient's film, the day it was taken, and what was found."""

    path: Path
    patient: str
    day: date
    finding: str
    study: str
    age: str = "003Y"  # PS3.5 6.2, VR AS


def half_year(data: Path, most: int) -> list[Visit]:
    """Visits in order of their days, a patient's films on one day, half of the kinds each."""
    rows = [
        row for row in read(data)
        if row.source == _SOURCE and row.label in (NORMAL, PNEUMONIA) and not row.mask
    ]  # fmt: skip
    draw = random.Random(7)
    draw.shuffle(rows)
    some = [row for label in (NORMAL, PNEUMONIA) for row in
            [row for row in rows if row.label == label][: most // 2]]  # fmt: skip
    groups = sorted({row.group for row in some})
    draw.shuffle(groups)
    days = {
        group: _FIRST + timedelta(days=_DAYS * i // len(groups)) for i, group in enumerate(groups)
    }
    visits = [
        Visit(
            path=data / row.path,
            patient=f"H{groups.index(row.group):05}",
            day=days[row.group],
            finding=row.label,
            study=str(generate_uid(entropy_srcs=["hospital", row.path])),
        )
        for row in some
    ]
    return sorted(visits, key=lambda visit: (visit.day, visit.study))


def month_before(data: Path, most: int) -> list[Visit]:
    """Visits of adults before the first of `half_year`: films such as the version learned from."""
    rows = [row for row in read(data) if row.source in _KNOWN and row.split == "val"]
    draw = random.Random(8)
    draw.shuffle(rows)
    kinds = [(source, label) for source in _KNOWN for label in (NORMAL, PNEUMONIA)]
    some = [row for kind in kinds for row in
            [row for row in rows if (row.source, row.label) == kind][: most // 4]]  # fmt: skip
    return [
        Visit(
            path=data / row.path,
            patient=f"A{i:05}",
            day=_FIRST - timedelta(days=31) + timedelta(days=30 * i // len(some)),
            finding=row.label,
            study=str(generate_uid(entropy_srcs=["hospital", row.path])),
            age="050Y",
        )
        for i, row in enumerate(some)
    ]


def write_films(visits: Sequence[Visit], folder: Path) -> list[Path]:
    """Write a DX object of each visit's film."""
    return [_write(visit, folder / f"{number:05}.dcm") for number, visit in enumerate(visits)]


def _write(visit: Visit, path: Path) -> Path:
    if path.exists():
        return path
    day = f"{visit.day:%Y%m%d}"
    ds = film(
        load_pixels(visit.path), kind="dx", stored=Stored(bits=8),
        PatientID=visit.patient, PatientName="Test^Hospital", PatientBirthDate="",
        PatientAge=visit.age, StudyInstanceUID=visit.study,
        AccessionNumber=f"{visit.patient[0]}{path.stem}",
        StudyDate=day, SeriesDate=day, ContentDate=day, AcquisitionDate=day,
        ViewPosition="AP", SOPInstanceUID=f"{visit.study[:60]}.1",
        SeriesInstanceUID=f"{visit.study[:60]}.2",
    )  # fmt: skip
    return write(ds, path)


def reports(visits: Sequence[Visit]) -> Iterator[bytes]:
    """What was dictated on each visit, as ORU^R01; every second one names the study by its UID."""
    for number, visit in enumerate(visits):
        texts = _TEXTS[visit.finding]
        yield oru(
            texts[number % len(texts)], accession=f"{visit.patient[0]}{number:05}",
            study=visit.study if number % 2 else "", control_id=f"H{number:05}",
            at=f"{visit.day:%Y%m%d}120000+0000",
        )  # fmt: skip
