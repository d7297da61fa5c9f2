"""What the data dictionary (PS3.6) and the standard allow as the value of an attribute."""

from __future__ import annotations

import math
import re
from datetime import datetime
from functools import cache

from pydicom import config
from pydicom.datadict import dictionary_VM
from pydicom.valuerep import validate_value

#: VRs whose value multiplicity is not counted: sequences, bytes, and text that has no delimiter.
UNCOUNTED = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN", "LT", "ST", "UT", "UR"})

#: VRs that hold integers in bytes, not as text.
BINARY_INTEGERS = frozenset({"US", "SS", "UL", "SL", "UV", "SV"})

_NUMBERS = BINARY_INTEGERS | {"FL", "FD"}
_INTEGERS = {
    "US": (0, 2**16 - 1), "SS": (-(2**15), 2**15 - 1), "UL": (0, 2**32 - 1),
    "SL": (-(2**31), 2**31 - 1), "UV": (0, 2**64 - 1), "SV": (-(2**63), 2**63 - 1),
    "IS": (-(2**31), 2**31 - 1),
}  # fmt: skip
_FORMATS = {"DA": ("%Y%m%d",), "TM": ("%H", "%H%M", "%H%M%S", "%H%M%S.%f")}
_LENGTHS = {"DA": (8,), "TM": (2, 4, 6, *range(8, 14))}
_YES_NO = frozenset({"YES", "NO"})
# Enumerated Values of PS3.3 that a film's objects copy; defined terms may be extended
_ENUMERATED = {
    "PatientSex": frozenset({"M", "F", "O"}),  # C.7.1.1
    "PatientIdentityRemoved": _YES_NO,  # C.7.1.1
    "SmokingStatus": _YES_NO | {"UNKNOWN"},  # C.7.2.2
    "PregnancyStatus": frozenset({"1", "2", "3", "4"}),  # C.7.2.2
    "LongitudinalTemporalInformationModified": frozenset({"UNMODIFIED", "MODIFIED", "REMOVED"}),
    "ImageLaterality": frozenset({"R", "L", "U", "B"}),  # C.8.11.2
    "LossyImageCompression": frozenset({"00", "01"}),  # C.7.6.1.1.5
}
_POSITIVE = frozenset({"PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"})
# C.12.1.1.8: -1200 to +1400, and no -0000
_OFFSET = re.compile(
    r"(?!-0000)(-(0[0-9]|1[01])[0-5][0-9]|-1200|\+(0[0-9]|1[0-3])[0-5][0-9]|\+1400)"
)
_ORIENTATION = re.compile(r"[APRLHF]{1,3}")  # C.7.6.1.1.1


@cache
def fits_multiplicity(keyword: str, count: int) -> bool:
    """Whether an attribute may have ``count`` values (PS3.6); none is never a question of VM."""
    if count == 0:
        return True
    return any(_fits(vm.strip(), count) for vm in dictionary_VM(keyword).split(" or "))


def is_legal(keyword: str, vr: str, value: object) -> bool:
    """Whether one value, not empty, is legal for its VR (PS3.5 6.2) and for its attribute."""
    text = str(value)
    try:
        validate_value(vr, value if vr in _NUMBERS else text, config.RAISE)
        return _is_in_range(vr, text) and _is_of_attribute(keyword, text.strip(" "))
    except (ValueError, TypeError, ArithmeticError):
        return False


def _is_in_range(vr: str, text: str) -> bool:
    if vr in _INTEGERS:
        low, high = _INTEGERS[vr]
        return low <= int(text) <= high
    if vr in ("DS", "FL", "FD"):
        return math.isfinite(float(text))
    return vr not in _FORMATS or _is_time(vr, text.rstrip(" "))


def _fits(vm: str, count: int) -> bool:
    low, _, high = vm.partition("-")
    least = int(low)
    if not high:
        return count == least
    if high.endswith("n"):
        step = int(high[:-1] or 1)
        return count >= least and count % step == 0
    return least <= count <= int(high)


def _is_time(vr: str, text: str) -> bool:
    if len(text) not in _LENGTHS[vr]:
        return False
    for pattern in _FORMATS[vr]:
        try:
            datetime.strptime(text, pattern)  # noqa: DTZ007 - checks the format, makes no time
        except ValueError:
            continue
        return True
    return False


def _is_of_attribute(keyword: str, text: str) -> bool:
    if keyword in _ENUMERATED:
        return text in _ENUMERATED[keyword]
    if keyword in _POSITIVE:
        return float(text) > 0
    if keyword == "TimezoneOffsetFromUTC":
        return _OFFSET.fullmatch(text) is not None
    if keyword == "PatientOrientation":
        return _ORIENTATION.fullmatch(text) is not None
    return True
