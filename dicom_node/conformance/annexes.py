"""The annexes: attributes, content trees, mappings, codes, IHE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_description
from pydicom.sr.coding import Code
from pydicom.tag import Tag

from dicom_node.compose import codes, inherited
from dicom_node.conformance.attributes import Row, rows_of
from dicom_node.conformance.markdown import table
from dicom_node.conformance.probe import PROBE_SCHEME
from dicom_node.conformance.tree import outlines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydicom.dataset import Dataset

    from dicom_node.conformance.created import Created

_COLUMNS = (
    *("Attribute Name", "Tag", "VR", "VM", "Source"),
    *("Presence of Attribute", "Presence of Value", "Value"),
)


def annexes(created: Created) -> Iterator[str]:
    """Annexes A.A to A.F."""
    yield "## Annexes\n"
    yield from _objects(created)
    yield "### A.B Structured Report Content Encoding\n"
    yield (
        "Relationship, value type and concept name of the content items, laid over each other for "
        "all findings; the values where they are codes, the unit of a number, the shape of a "
        "region.\n"
    )
    objects = [ds for probe in created.probes for ds in probe.objects]
    for outline in outlines(objects):
        yield f"{', '.join(sorted(outline.sop_classes))}:\n"
        yield "\n".join(["```", *outline.lines(), "```\n"])
    yield "### A.C Security Details\n"
    yield "Nothing beyond section 8.\n"
    yield from _mapping()
    yield "### A.E Code Set Usage\n"
    yield table(("Code Value", "Coding Scheme Designator", "Code Meaning"), _codes(objects))
    yield f"{codes.SCHEME} is the node's own scheme: {codes.SCHEME_NAME}.\n"
    yield "### A.F IHE Integration Profiles\n"
    yield table(
        ("Profile", "Actor", "Transaction", "How"),
        [
            ("AIR", "Evidence Creator", "Creator Images Stored [RAD-18]", "C-STORE of images"),
            ("AIR", "Evidence Creator", "Evidence Document Stored [RAD-43]", "C-STORE of reports"),
        ],
    )
    yield "AIR is IHE's AI Results profile. Not tested at a Connectathon.\n"


def _objects(created: Created) -> Iterator[str]:
    """Annex A.A: what all kinds share, then what each kind has beside."""
    kinds = {number: rows_of(objects) for number, objects in created.kinds.items()}
    shared = [row for row in next(iter(kinds.values())) if _in_all(row, list(kinds.values()))]
    yield "### A.A Information Object Definitions\n"
    yield (
        "Found by letting the node create: under every setting that changes an object, of films "
        "that hold as much or as little as a film can.\n"
    )
    yield table(
        ("Word", "Meaning"),
        [
            ("COPIED", "taken over from the film, as it is or repaired (5.7)"),
            ("CONFIG", "from the configuration"),
            ("FIXED", "the same value each time"),
            ("AUTO", "made by the node for this object"),
            ("ALWAYS", "in each object, or in each item of the sequence around it"),
            ("CONDITIONAL", "not in each, depending on the film or the finding"),
            ("EMPTY", "there, never with a value"),
        ],
    )
    yield "#### A.A.1 Information Shared Across Multiple IODs\n"
    yield table(_COLUMNS, (row.cells for row in shared))
    for place, (number, objects) in enumerate(created.kinds.items(), 2):
        ds = objects[0][1]
        names = sorted({each.SOPClassUID.name for _, each in objects})
        yield f"#### A.A.{place} {', '.join(names)}\n"
        yield f'Series {number}, {ds.Modality}, "{ds.SeriesDescription}". Beside A.A.1:\n'
        yield table(_COLUMNS, (row.cells for row in kinds[number] if row not in shared))


def _in_all(row: Row, kinds: Sequence[Sequence[Row]]) -> bool:
    return all(row in rows for rows in kinds)


def _mapping() -> Iterator[str]:
    """Annex A.D: the film's attributes that its children inherit."""
    yield "### A.D Mapping of Attributes\n"
    yield (
        "Every created object takes these attributes over from its film, where the film has them, "
        "into the same place. Nothing comes from a worklist.\n"
    )
    groups = (("Patient", inherited.PATIENT), ("Study", inherited.STUDY), ("Site", inherited.SITE))
    yield table(
        ("Attribute Name", "Tag", "Of"),
        (
            (dictionary_description(keyword), _tag(keyword), name)
            for name, keywords in groups
            for keyword in keywords
        ),
    )


def _tag(keyword: str) -> str:
    return str(Tag(keyword))


def _codes(objects: Iterable[Dataset]) -> list[tuple[str, str, str]]:
    """Every code that was seen or may be written, but those of the made-up films."""
    found = {_triple(code) for ds in objects for code in _items(ds)}
    found = {code for code in found if not code[1].startswith(PROBE_SCHEME)}
    for value in vars(codes).values():
        listed = value.values() if isinstance(value, dict) else [value]
        found |= {
            (code.value, code.scheme_designator, code.meaning)
            for code in listed
            if isinstance(code, Code)
        }
    return sorted(found, key=lambda code: (code[1], code[0], code[2]))


def _items(ds: Dataset) -> Iterator[Dataset]:
    """Every code item, at any depth."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                if "CodeValue" in item and "CodeMeaning" in item:
                    yield item
                yield from _items(item)


def _triple(item: Dataset) -> tuple[str, str, str]:
    return str(item.CodeValue), str(item.CodingSchemeDesignator), str(item.CodeMeaning)
