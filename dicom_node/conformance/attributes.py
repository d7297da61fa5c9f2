"""Find the attributes of the created objects, and where their values come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_description, dictionary_VM
from pydicom.tag import BaseTag

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

    from dicom_node.conformance.probe import Probe

ALWAYS, CONDITIONAL, EMPTY = "ALWAYS", "CONDITIONAL", "EMPTY"

_LONGEST_VALUE = 80  # characters; longer values are not listed
_CHOICES = 4  # at most so many different values are listed
_CONTENT = 0x0040A730  # Content Sequence, described in Annex A.B
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute of a kind of object. ``path`` leads through the sequences."""

    path: tuple[BaseTag, ...]
    vr: str
    source: str
    attribute: str  # ALWAYS or CONDITIONAL
    filled: str  # ALWAYS, CONDITIONAL or EMPTY
    value: str

    @property
    def cells(self) -> tuple[str, ...]:
        """Return the cells of a table row; one ``>`` for each enclosing sequence, as in PS3.3."""
        tag = self.path[-1]
        name = f"{'>' * (len(self.path) - 1)}{dictionary_description(tag)}"
        vm = dictionary_VM(tag)
        return name, f"{tag}", self.vr, vm, self.source, self.attribute, self.filled, self.value


@dataclass(slots=True)
class _Seen:
    """Statistics of one attribute over all objects of a kind."""

    vr: str
    count: int = 0
    filled: int = 0
    values: set[str] = field(default_factory=set)
    copied: int = 0  # times the value was the film's
    configured: int = 0  # times the value came from the configuration


def rows_of(objects: Iterable[tuple[Probe, Dataset]]) -> list[Row]:
    """Describe the attributes of objects of one kind, in the order of their tags."""
    seen: dict[tuple[BaseTag, ...], _Seen] = {}
    holders: Counter[tuple[BaseTag, ...]] = Counter()  # items that could hold the attribute
    for probe, ds in objects:
        _look(probe, ds, (), seen, holders)
    return [_row(path, what, holders[path[:-1]]) for path, what in sorted(seen.items())]


def _look(
    probe: Probe,
    ds: Dataset,
    path: tuple[BaseTag, ...],
    seen: dict[tuple[BaseTag, ...], _Seen],
    holders: Counter[tuple[BaseTag, ...]],
) -> None:
    holders[path] += 1
    for element in ds:
        here = (*path, element.tag)
        _note(probe, element, seen.setdefault(here, _Seen(element.VR)))
        if element.VR == "SQ" and element.tag != _CONTENT and not _is_copied(probe, element):
            for item in element.value:
                _look(probe, item, here, seen, holders)


def _note(probe: Probe, element: DataElement, what: _Seen) -> None:
    what.count += 1
    if element.is_empty:
        return
    what.filled += 1
    if element.VR in _BINARY or element.VR == "SQ":
        what.copied += _is_copied(probe, element)
        return
    text = "\\".join(_texts(element))
    what.values.add(text)
    results = probe.config.results
    if text in (results.manufacturer, results.station_serial_number, probe.config.node.ae_title):
        what.configured += 1
    else:
        what.copied += text in probe.texts or _is_copied(probe, element)


def _texts(element: DataElement) -> Iterator[str]:
    values = element.value if element.VM > 1 else [element.value]
    yield from map(str, values)


def _is_copied(probe: Probe, element: DataElement) -> bool:
    return element.tag in probe.film and bool(probe.film[element.tag].value == element.value)


def _row(path: tuple[BaseTag, ...], what: _Seen, holders: int) -> Row:
    filled = EMPTY if not what.filled else ALWAYS if what.filled == what.count else CONDITIONAL
    source = _source(what)
    return Row(
        path=path,
        vr=what.vr,
        source=source,
        attribute=ALWAYS if what.count == holders else CONDITIONAL,
        filled=filled,
        value=_value(what, source),
    )


def _source(what: _Seen) -> str:
    if not what.filled:
        return ""
    if len(what.values) == 1 and what.filled > 1:
        return "FIXED"
    if what.copied == what.filled:
        return "COPIED"
    if what.configured == what.filled:
        return "CONFIG"
    return "AUTO" if not what.copied else "COPIED or AUTO"


def _value(what: _Seen, source: str) -> str:
    listed = source == "FIXED" or (source == "AUTO" and what.vr == "CS")
    if not listed or len(what.values) > _CHOICES or max(map(len, what.values)) > _LONGEST_VALUE:
        return ""
    return " or ".join(sorted(what.values))
