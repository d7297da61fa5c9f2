"""What the gate measures without a network: age, exposure, lungs at the edge of the film."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dicom_node.dicom.header import text

if TYPE_CHECKING:
    from pydicom import Dataset

# Age String (PS3.5 6.2, VR AS): the unit after the number -> how many of them make a year.
_A_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
#: Nobody is older; a greater age is a slip of the keyboard.
_OLDEST = 130.0
_DATES = ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate")
#: This close to an end of the grey scale is black, or white.
_END = 0.01
#: Lung within this share of a film's side belongs to its edge.
_EDGE = 0.01


def age_years(ds: Dataset) -> float | None:
    """Give the patient's age at the study, None where the header does not say.

    Patient's Age comes first; "81" without a unit is read as years, as it is meant.
    """
    age = text(ds, "PatientAge")
    digits, unit = age.rstrip("DWMY"), age[-1:]
    if digits.isdigit():
        return _plausible(int(digits) / _A_YEAR.get(unit, 1.0))
    born = _date(text(ds, "PatientBirthDate"))
    at = next((day for day in (_date(text(ds, name)) for name in _DATES) if day), None)
    return _plausible((at - born).days / 365.25) if born and at else None


def _plausible(years: float) -> float | None:
    return years if 0 <= years <= _OLDEST else None


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How the middle of a film uses the grey scale."""

    black: float  # share of its pixels
    white: float
    contrast: float  # difference of the 95th and the 5th percentile, in [0, 1]


def exposure(pixels: NDArray[np.float32]) -> Exposure:
    """Measure the middle of a film, where no collimator or marker is expected."""
    rows, columns = pixels.shape
    middle = pixels[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]
    step = max(1, min(middle.shape) // 256)
    sample = middle[::step, ::step]
    low, high = np.percentile(sample, (5.0, 95.0))
    return Exposure(
        black=float((sample <= _END).mean()),
        white=float((sample >= 1.0 - _END).mean()),
        contrast=float(high - low),
    )


def lungs_at_edge(lungs: NDArray[np.generic]) -> float:
    """Largest share of any side of the film that lies in lung; the mask covers the film."""
    rows, columns = (max(1, round(_EDGE * side)) for side in lungs.shape)
    sides = (
        lungs[:rows].any(axis=0),
        lungs[-rows:].any(axis=0),
        lungs[:, :columns].any(axis=1),
        lungs[:, -columns:].any(axis=1),
    )
    return max(float(side.mean()) for side in sides)
