"""Check that values are legal for their VR (PS3.5 6.2) and that text is UTF-8."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydicom import config
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.multival import MultiValue
from pydicom.valuerep import validate_value

from dicom_node.compose.sanitize import is_identifier
from dicom_node.dicom.uids import is_uid

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_CHECKED = _TEXT | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}


def check_values(ds: Dataset, path: str = "") -> Iterator[str]:
    """Yield the values that are not legal for their VR, at any depth.

    Two things that came with the film are accepted: identifiers that are too long, because a cut
    one would identify another patient or order, and UIDs with leading zeros in a component.
    """
    for tag, raw in list(ds.items()):  # raw elements, not yet decoded
        keyword = keyword_for_tag(tag) or str(tag)
        name = f"{path}{keyword}"
        if isinstance(raw, RawDataElement) and raw.VR in _TEXT and not _is_utf8(raw.value):
            yield f"{name} is not UTF-8"
            continue
        element = raw if isinstance(raw, DataElement) else ds[tag]
        if element.VR == "SQ":
            for item in element.value:
                yield from check_values(item, f"{name} > ")
        elif fault := _fault(element, keyword):
            yield f"{name} {fault}"


def _fault(element: DataElement, keyword: str) -> str | None:
    """Say what is wrong with an element, never its value, which may be patient data."""
    vr = element.VR
    if dictionary_has_tag(element.tag) and vr not in dictionary_VR(element.tag):
        return f"has VR {vr}"
    if vr not in _CHECKED or (vr in ("LO", "SH") and is_identifier(keyword)):
        return None
    several = isinstance(element.value, MultiValue)
    for value in element.value if several else [element.value]:
        if value is None or value == "" or (vr == "UI" and is_uid(str(value))):
            continue
        try:
            validate_value(vr, str(value), config.RAISE)
        except ValueError:
            return f"has a value that is not a legal {vr}"
    return None


def _is_utf8(value: object) -> bool:
    try:
        return not isinstance(value, bytes) or bool(value.decode("utf-8") or True)
    except UnicodeDecodeError:
        return False
