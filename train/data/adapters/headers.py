"""What a manifest row takes from a DICOM header."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node import pixels
from dicom_node.errors import Refused
from train.data.adapters.tables import sex, years

if TYPE_CHECKING:
    from pydicom import Dataset


def header_of(path: Path) -> Dataset | None:
    """The data set of a DICOM file, or None if it is not one."""
    try:
        return pixels.read_dataset(path)
    except Refused:
        return None


def columns(header: Dataset) -> dict[str, str]:
    """The columns view, age and sex."""
    return {
        "view": str(header.get("ViewPosition", "")),
        "age": years(str(header.get("PatientAge", ""))),
        "sex": sex(str(header.get("PatientSex", ""))),
    }
