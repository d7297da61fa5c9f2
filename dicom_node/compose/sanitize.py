"""Copy header elements of a film into our own objects, with legal values only.

Text is decoded by the declared character set and written as Unicode. UTF-8 that was declared as a
single-byte set, or not declared at all, is read as UTF-8. Characters that cannot be decoded and
control characters become U+FFFD, which a reader can see. Less-than and greater-than signs, which a
web viewer might take for HTML, become angle quotation marks, except in identifiers. Text that is
too long for its VR is cut, except for identifiers. Other values are copied unchanged if they are
legal and left out if they are not: an archive may reject a whole object because of one bad date.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

from pydicom import config
from pydicom.charset import default_encoding, python_encoding
from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import STR_VR

from dicom_node.dicom.dictionary import (
    BINARY_INTEGERS,
    UNCOUNTED,
    fits_multiplicity,
    is_legal,
)
from dicom_node.dicom.header import text as header_text
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.dicom.uids import is_uid

_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_PARAGRAPHS = frozenset({"LT", "ST", "UT"})

# PS3.5 6.1.3: no control characters except those that format paragraphs; and no surrogates, which
# UTF-8 cannot encode
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_ANGLES = str.maketrans(
    {
        "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
        ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
    }
)
# Maximum length in characters, PS3.5 6.2; for PN in each component group
_LONGEST = {"LO": 64, "LT": 10240, "PN": 64, "SH": 16, "ST": 1024}
_MULTI_BYTE = {"shift_jis", "iso2022_jp", "iso2022_jp_2", "euc_kr", "iso_ir_58"} | {
    "UTF8", "GB18030", "GBK", "GB2312",
}  # fmt: skip
# Escape sequence of ISO 2022 IR 58; pydicom 3.0 decodes what follows but leaves the sequence in
_GB2312 = "\x1b$)A"
_IDENTIFIER = re.compile(r"(ID|IDs|Number|NumberImagingServiceRequest|Value|Designator|Version)$")


def clean(source: Dataset, keywords: Iterable[str]) -> Dataset:
    """Copy the elements of ``source`` named by ``keywords`` whose values can be made legal."""
    return _clean(source, keywords, _single_byte(source))


def _clean(source: Dataset, keywords: Iterable[str], codec: str | None) -> Dataset:
    ds = Dataset()
    with warnings.catch_warnings():
        # pydicom warns about the values that are repaired here
        warnings.simplefilter("ignore")
        for keyword in keywords:
            element = _element(source, keyword, codec) if keyword in source else None
            if element is not None:
                ds.add(element)
    return ds


@cache
def is_identifier(keyword: str) -> bool:
    """Whether the element holds an identifier: cutting it would identify something else."""
    return _IDENTIFIER.search(keyword) is not None


def _element(source: Dataset, keyword: str, codec: str | None) -> DataElement | None:
    try:
        element = _as_named(source[keyword], keyword)
        value = _value(element, codec)
    except (OSError, *MALFORMED):
        return None  # the bytes cannot be read as this VR at all
    if value is None:
        return None
    # an identifier may be too long: the archive has stored it before
    return DataElement(element.tag, element.VR, value, validation_mode=config.IGNORE)


def _as_named(element: DataElement, keyword: str) -> DataElement:
    """Give the element the VR of the data dictionary, whatever VR the file declares.

    Raises
    ------
    TypeError, ValueError
        The value cannot be read as that VR.
    """
    vr = dictionary_VR(keyword)
    if vr == element.VR or element.VR in vr.split(" or "):
        return element
    if "SQ" in (vr, element.VR):
        raise TypeError(f"{keyword} should be {vr} and is {element.VR}: one is a sequence")
    values = [str(each) for each in _values(element)]
    if vr in STR_VR:
        return DataElement(element.tag, vr, values, validation_mode=config.IGNORE)
    if vr in BINARY_INTEGERS:
        numbers = [int(each) for each in values]
        return DataElement(element.tag, vr, numbers, validation_mode=config.IGNORE)
    raise TypeError(f"{keyword} should be {vr} and is {element.VR}")


def _values(element: DataElement) -> list[Any]:
    """List the values of an element that has none, one or several."""
    values = list(element.value) if element.VM > 1 else [element.value]
    return [value for value in values if value is not None]


def _value(element: DataElement, codec: str | None) -> object:
    """Return a value that is legal for its VR, VM and attribute, or None to leave it out.

    Text with too many values becomes one value with U+FFFD at the delimiters, so that no part of
    an identifier stands for the whole; of other values with VM 1 the first is used.
    """
    if element.VR == "SQ":
        return Sequence([_clean(item, _keywords(item), codec) for item in element.value])
    if element.VR in UNCOUNTED - _TEXT - {"UR"}:
        return element.value
    values = _as_many(element, _texts(element, codec))
    filled = [value for value in values if value != ""]
    if not filled:
        return ""
    if len(filled) != len(values) and "n" not in dictionary_VM(element.keyword):
        return None  # one of several values is empty
    if element.VR not in UNCOUNTED and not fits_multiplicity(element.keyword, len(values)):
        return None
    if not all(_is_legal(element, value) for value in filled):
        return None
    return values if len(values) > 1 else values[0]


def _texts(element: DataElement, codec: str | None) -> list[Any]:
    """List the values: text as Unicode, numbers of binary VRs as they are, others as strings."""
    values = _values(element)
    if element.VR in BINARY_INTEGERS or element.VR in ("FL", "FD", "AT"):
        return values
    if element.VR in _TEXT:
        return [_text(str(value), element, codec) for value in values]
    return [str(value) for value in values]


def _as_many(element: DataElement, values: list[Any]) -> list[Any]:
    """Reduce several values to one if the attribute has VM 1."""
    if len(values) < 2 or dictionary_VM(element.keyword) != "1":
        return values
    if element.VR in _TEXT:
        return [_text("\N{REPLACEMENT CHARACTER}".join(values), element, None)]
    return values[:1]


def _is_legal(element: DataElement, value: object) -> bool:
    """Whether a value is legal; text is by now, except for an attribute with a fixed format."""
    if element.VR == "UI":
        return is_uid(str(value))
    is_free = element.VR in _TEXT and element.keyword != "TimezoneOffsetFromUTC"
    return is_free or is_legal(element.keyword, element.VR, value)


def _text(text: str, element: DataElement, codec: str | None) -> str:
    vr = element.VR
    control = _CONTROL_BUT_LINES if vr in _PARAGRAPHS else _CONTROL
    text = control.sub("\N{REPLACEMENT CHARACTER}", _repaired(text.replace(_GB2312, ""), codec))
    if vr not in _PARAGRAPHS:
        text = text.replace("\\", "\N{REPLACEMENT CHARACTER}")
    if is_identifier(element.keyword):
        return text
    text = text.translate(_ANGLES)
    if vr not in _LONGEST:
        return text
    if vr == "PN":
        return "=".join(group[: _LONGEST[vr]] for group in text.split("=")[:3])
    return text[: _LONGEST[vr]]


def _repaired(text: str, codec: str | None) -> str:
    """Decode UTF-8 that was declared as another set; other text is rarely valid UTF-8."""
    if codec is None or text.isascii():
        return text
    try:
        return text.encode(codec).decode("utf-8")
    except UnicodeError:
        return text


def _single_byte(source: Dataset) -> str | None:
    """Return the codec of the declared character set if it is a single-byte set, else None."""
    first = header_text(source, "SpecificCharacterSet").partition("\\")[0]
    # pydicom reads text as Latin-1 if its character set is unknown or not declared
    codec = python_encoding.get(first, default_encoding)
    return None if codec in _MULTI_BYTE else codec


def _keywords(item: Dataset) -> list[str]:
    """Return the keywords of an item's standard elements; private elements are not copied."""
    return [keyword for tag in item if (keyword := keyword_for_tag(tag.tag))]
