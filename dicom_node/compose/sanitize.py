"""Copy header elements of a film into our own objects, with legal values only.

Text is decoded by the declared character set and written as Unicode. UTF-8 that was declared as a
single-byte set, or not declared at all, is read as UTF-8. Characters that cannot be decoded and
control characters become U+FFFD, which a reader can see. Text that is too long for its VR is cut,
except for identifiers. Other values are copied unchanged if they are legal and left out if they
are not: an archive may reject a whole object because of one bad date.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

from pydicom import config
from pydicom.charset import default_encoding, python_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import STR_VR, validate_value

from dicom_node.dicom.uids import is_uid

_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_PARAGRAPHS = frozenset({"LT", "ST", "UT"})
_ENUMERATED = {"PatientSex": ("M", "F", "O")}  # PS3.3 C.7.1.1, enumerated, not defined, terms

# PS3.5 6.1.3: no control characters except those that format paragraphs; and no surrogates, which
# UTF-8 cannot encode
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
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


def is_identifier(keyword: str) -> bool:
    """Whether the element holds an identifier: cutting it would identify something else."""
    return _IDENTIFIER.search(keyword) is not None


def _element(source: Dataset, keyword: str, codec: str | None) -> DataElement | None:
    try:
        element = _as_named(source[keyword], keyword)
        value = _value(element, codec)
    except (ValueError, TypeError, ArithmeticError, LookupError):
        return None  # the bytes cannot be read as this VR at all
    if value is None or (keyword in _ENUMERATED and value not in _ENUMERATED[keyword]):
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
    if vr == element.VR or vr not in STR_VR:
        return element
    if element.VR == "SQ":
        raise TypeError(f"{keyword} holds items")
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    texts = [str(each) for each in values if each is not None]
    return DataElement(element.tag, vr, texts, validation_mode=config.IGNORE)


def _value(element: DataElement, codec: str | None) -> object:
    """Return the sanitised value, or None if the element must be left out."""
    if element.VR == "SQ":
        return Sequence([_clean(item, _keywords(item), codec) for item in element.value])
    values = list(element.value) if isinstance(element.value, MultiValue) else [element.value]
    if element.VR in _TEXT:
        kept = [_text(str(value), element, codec) for value in values if value is not None]
    else:
        kept = [str(value) for value in values if value is not None]
        for value in kept:
            if element.VR != "UI" or not is_uid(value):
                validate_value(element.VR, value, config.RAISE)
    return kept if len(kept) > 1 else "".join(kept)


def _text(text: str, element: DataElement, codec: str | None) -> str:
    vr = element.VR
    control = _CONTROL_BUT_LINES if vr in _PARAGRAPHS else _CONTROL
    text = control.sub("\N{REPLACEMENT CHARACTER}", _repaired(text.replace(_GB2312, ""), codec))
    if vr not in _LONGEST or is_identifier(element.keyword):
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
    declared = source.get("SpecificCharacterSet") or ""
    first = declared if isinstance(declared, str) else declared[0]
    # pydicom reads text as Latin-1 if its character set is unknown or not declared
    codec = python_encoding.get(first, default_encoding)
    return None if codec in _MULTI_BYTE else codec


def _keywords(item: Dataset) -> list[str]:
    """Return the keywords of an item's standard elements; private elements are not copied."""
    return [keyword for tag in item if (keyword := keyword_for_tag(tag.tag))]
