"""Read values of a header that may be wrong; a wrong value never raises."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from dicom_node.dicom.malformed import MALFORMED

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def numbers(ds: Dataset, keyword: str) -> tuple[float, ...]:
    """All finite numbers of an element; empty if it is missing, blank or not numeric."""
    try:
        value = ds.get(keyword)
        if isinstance(value, bytes):  # US or SS, not resolved yet
            value = [one for (one,) in struct.iter_unpack("<H", value)]
        several = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
        found = [float(one) for one in several if one not in (None, "")]
    except (OSError, *MALFORMED):  # pydicom raises OSError for a sequence that is cut off
        return ()
    return tuple(number for number in found if math.isfinite(number))


def number(ds: Dataset, keyword: str, default: float) -> float:
    """The first number of an element, or the default."""
    return next(iter(numbers(ds, keyword)), default)


def text(ds: Dataset, keyword: str) -> str:
    """The text of an element, trimmed and in capitals; a backslash separates several values."""
    try:
        value = ds.get(keyword)
    except (OSError, *MALFORMED):  # pydicom raises OSError for a sequence that is cut off
        return ""
    several = [value] if isinstance(value, str) else value or ()
    parts = several if hasattr(several, "__iter__") else (several,)
    return "\\".join(str(part).strip().upper() for part in parts)
