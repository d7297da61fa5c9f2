"""Header elements of somebody else's film, made fit to stand in ours.

Text is decoded and leaves as Unicode; what does not decode, and control characters, become U+FFFD,
which a person sees. Other values stay word for word, or are left out where they are illegal:
an archive refuses the whole object for one bad date.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

from pydicom import config
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import validate_value

_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_PARAGRAPHS = frozenset({"LT", "ST", "UT"})
_ENUMERATED = {"PatientSex": ("M", "F", "O")}  # PS3.3 C.7.1.1, enumerated, not defined, terms

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def clean(source: Dataset, keywords: Iterable[str]) -> Dataset:
    """A new data set with those of the elements that the source has and that can be kept."""
    ds = Dataset()
    with warnings.catch_warnings():
        # pydicom warns of what we are here to mend
        warnings.simplefilter("ignore")
        for keyword in keywords:
            element = _element(source, keyword) if keyword in source else None
            if element is not None:
                ds.add(element)
    return ds


def _element(source: Dataset, keyword: str) -> DataElement | None:
    try:
        element = source[keyword]
        value = _value(element)
    except (ValueError, TypeError, ArithmeticError, LookupError):
        return None  # bytes that are not of their VR at all
    if value is None or (keyword in _ENUMERATED and value not in _ENUMERATED[keyword]):
        return None
    # lengths are not ours to judge: the archive has taken this identity before
    return DataElement(element.tag, element.VR, value, validation_mode=config.IGNORE)


def _value(element: DataElement) -> object:
    """The cleaned value; None where it must go."""
    if element.VR == "SQ":
        return Sequence([clean(item, _keywords(item)) for item in element.value])
    values = list(element.value) if isinstance(element.value, MultiValue) else [element.value]
    if element.VR in _TEXT:
        kept = [_text(value, element.VR) for value in values if value is not None]
    else:
        kept = [str(value) for value in values if value is not None]
        for value in kept:
            validate_value(element.VR, value, config.RAISE)
    return kept if len(kept) > 1 else "".join(kept)


def _text(value: object, vr: str) -> str:
    control = _CONTROL_BUT_LINES if vr in _PARAGRAPHS else _CONTROL
    return control.sub("\N{REPLACEMENT CHARACTER}", str(value))


def _keywords(item: Dataset) -> list[str]:
    """The item's elements that have a name: private ones stay behind."""
    return [keyword for tag in item if (keyword := keyword_for_tag(tag.tag))]
