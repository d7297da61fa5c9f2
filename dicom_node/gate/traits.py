"""What films are grouped by, from their headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.dicom.header import text
from dicom_node.domain.values import FilmTraits
from dicom_node.gate.age import age

if TYPE_CHECKING:
    from datetime import date

    from pydicom import Dataset

_LONGEST = 16  # characters, PS3.5 6.2, VR CS


def traits(ds: Dataset, today: date | None = None) -> FilmTraits:
    """Read modality, view and the decade of the patient's age, see `age`."""
    years = age(ds, today).years
    return FilmTraits(
        modality=_word(ds, "Modality"),
        view=_word(ds, "ViewPosition"),
        decade=None if years is None else int(years // 10 * 10),
    )


def _word(ds: Dataset, keyword: str) -> str:
    return "".join(filter(str.isprintable, text(ds, keyword)))[:_LONGEST]
