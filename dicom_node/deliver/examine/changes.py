"""What an archive changed in an object that it was sent (coercion)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom.datadict import keyword_for_tag
from pydicom.multival import MultiValue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

_SHOWN = 64  # characters of a value


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One attribute that differs; ``sent`` or ``returned`` is None if it is absent."""

    attribute: str  # keywords with item numbers: ContentSequence[2].TextValue
    sent: str | None
    returned: str | None


def changes(sent: Dataset, returned: Dataset, *, pixels: bool = True) -> list[Change]:
    """Compare two data sets, item by item.

    Padding of values and group lengths do not count.

    Parameters
    ----------
    pixels
        Whether the pixel data counts; not if it was transcoded on the way.
    """
    return [
        each
        for each in _changes(sent, returned, "")
        if pixels or not each.attribute.startswith("PixelData")
    ]


def _changes(sent: Dataset, returned: Dataset, place: str) -> Iterator[Change]:
    for tag in sorted({*sent.keys(), *returned.keys()}):
        if tag.element == 0:  # a group length, PS3.5 7.2
            continue
        ours: DataElement | None = sent.get(tag)
        theirs: DataElement | None = returned.get(tag)
        name = f"{place}{_name(tag)}"
        if ours is not None and theirs is not None and "SQ" in (ours.VR, theirs.VR):
            yield from _items(ours, theirs, name)
        elif ours is None or theirs is None or _plain(ours) != _plain(theirs):
            yield Change(attribute=name, sent=_shown(ours), returned=_shown(theirs))


def _items(ours: DataElement, theirs: DataElement, name: str) -> Iterator[Change]:
    if ours.VR != theirs.VR or len(ours.value) != len(theirs.value):
        yield Change(attribute=name, sent=_shown(ours), returned=_shown(theirs))
        return
    for number, pair in enumerate(zip(ours.value, theirs.value, strict=True), 1):
        yield from _changes(*pair, f"{name}[{number}].")


def _name(tag: BaseTag) -> str:
    return keyword_for_tag(tag) or f"({tag.group:04X},{tag.element:04X})"


def _plain(element: DataElement) -> Any:
    """A value without its padding (PS3.5 6.2); an empty value and None are the same."""
    value = element.value
    if isinstance(value, bytes):
        return value.rstrip(b"\0")
    if isinstance(value, MultiValue | list):
        return [str(each).strip() for each in value]
    return "" if value is None else str(value).strip(" \0")


def _shown(element: DataElement | None) -> str | None:
    if element is None:
        return None
    value = element.value
    if element.VR == "SQ":
        return f"{len(value)} items"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
