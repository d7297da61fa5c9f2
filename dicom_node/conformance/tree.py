"""Merge the content trees of the created reports into one outline for each title."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydicom.dataset import Dataset


@dataclass(slots=True)
class Outline:
    """The values and children seen for content items of one place and name."""

    sop_classes: set[str] = field(default_factory=set)  # of a root: names of its SOP classes
    values: set[str] = field(default_factory=set)
    inner: dict[str, Outline] = field(default_factory=dict)

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Write what is below, one line for each item."""
        for name, outline in self.inner.items():
            values = f" = {' or '.join(sorted(outline.values))}" if outline.values else ""
            yield f"{'  ' * depth}{name}{values}"
            yield from outline.lines(depth + 1)


def outlines(documents: Iterable[Dataset]) -> list[Outline]:
    """Outline the documents, one outline for each title."""
    titles: dict[str, Outline] = {}
    for ds in documents:
        if "ContentSequence" in ds:
            outline = titles.setdefault(_name(ds), Outline())
            outline.sop_classes.add(ds.SOPClassUID.name)
            _lay(ds, outline)
    return list(titles.values())


def _lay(item: Dataset, over: Outline) -> None:
    here = over.inner.setdefault(_name(item), Outline())
    if values := item.get("ConceptCodeSequence"):
        here.values.add(_code(values[0]))
    if shape := item.get("GraphicType"):
        here.values.add(shape)
    for inner in item.get("ContentSequence") or ():
        _lay(inner, here)


def _name(item: Dataset) -> str:
    """Relationship, value type, concept name, template and unit."""
    words = [item.get("RelationshipType", ""), item.get("ValueType", "")]
    if name := item.get("ConceptNameCodeSequence"):
        words.append(_code(name[0]))
    if template := item.get("ContentTemplateSequence"):
        words.append(f"TID {template[0].TemplateIdentifier}")
    for value in item.get("MeasuredValueSequence") or ():
        words.append(f"in {_code(value.MeasurementUnitsCodeSequence[0])}")
    return " ".join(filter(None, words))


def _code(item: Dataset) -> str:
    return f'({item.CodeValue}, {item.CodingSchemeDesignator}, "{item.CodeMeaning}")'
