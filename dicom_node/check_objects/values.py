"""Check that values are legal for VR (PS3.5 6.2) and VM (PS3.6), and that text is UTF-8."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement

from dicom_node.compose.sanitize import is_identifier
from dicom_node.dicom.dictionary import UNCOUNTED, fits_multiplicity, is_legal
from dicom_node.dicom.uids import is_uid

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_BYTES = frozenset({"AT", "OB", "OD", "OF", "OL", "OV", "OW", "UN"})


def check_values(ds: Dataset, path: str = "") -> Iterator[str]:
    """Yield the values that are not legal for their VR or VM, at any depth.

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
    vr, of_dictionary = element.VR, _vr(element.tag)
    if of_dictionary is not None and vr not in of_dictionary:
        return f"has VR {vr}"
    if of_dictionary is None or vr in _BYTES:
        return None
    values = [*element.value] if element.VM > 1 else [] if element.is_empty else [element.value]
    if vr not in UNCOUNTED and not fits_multiplicity(keyword, len(values)):
        return f"has {len(values)} values, which its VM does not allow"
    if vr in ("LO", "SH") and is_identifier(keyword):
        return None
    for value in values:
        if value is None or value == "" or (vr == "UI" and is_uid(str(value))):
            continue
        if not is_legal(keyword, vr, value):
            return f"has a value that is not a legal {vr}"
    return None


@cache
def _vr(tag: int) -> str | None:
    """The VR of the data dictionary, or several of them."""
    return dictionary_VR(tag) if dictionary_has_tag(tag) else None


def _is_utf8(value: object) -> bool:
    try:
        return not isinstance(value, bytes) or bool(value.decode("utf-8") or True)
    except UnicodeDecodeError:
        return False
