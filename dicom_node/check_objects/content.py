"""Check a content tree: complete items, in places that SOP class and template allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    KeyObjectSelectionDocumentStorage,
)

from dicom_node.check_objects import templates
from dicom_node.dicom.header import number as header_number

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_BASIC = frozenset(
    {"TEXT", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME"}
    | {"COMPOSITE", "IMAGE", "WAVEFORM", "CONTAINER"}
)
# SOP class -> value types, PS3.3 A.35
_VALUE_TYPES: dict[str, frozenset[str]] = {
    BasicTextSRStorage: _BASIC,
    EnhancedSRStorage: _BASIC | {"NUM", "SCOORD", "TCOORD"},
    ComprehensiveSRStorage: _BASIC | {"NUM", "SCOORD", "TCOORD"},
    Comprehensive3DSRStorage: _BASIC | {"NUM", "SCOORD", "TCOORD", "SCOORD3D"},
    KeyObjectSelectionDocumentStorage: _BASIC - {"DATETIME", "DATE", "TIME"},
}
# value type -> required attributes, PS3.3 C.17.3.2 and C.18
_NEEDS: dict[str, tuple[str, ...]] = {
    "TEXT": ("TextValue",),
    "CODE": ("ConceptCodeSequence",),
    "NUM": ("MeasuredValueSequence",),
    "UIDREF": ("UID",),
    "PNAME": ("PersonName",),
    "DATETIME": ("DateTime",),
    "DATE": ("Date",),
    "TIME": ("Time",),
    "IMAGE": ("ReferencedSOPSequence",),
    "COMPOSITE": ("ReferencedSOPSequence",),
    "SCOORD": ("GraphicType", "GraphicData"),
    "CONTAINER": ("ContinuityOfContent",),
}
_MAY_LACK_A_NAME = frozenset({"IMAGE", "COMPOSITE", "SCOORD"})
# relationship -> value types of parent and child; empty: any. PS3.3 A.35
_RELATIONSHIPS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "CONTAINS": (frozenset({"CONTAINER"}), frozenset()),
    "HAS OBS CONTEXT": (frozenset(), _BASIC | {"NUM"}),
    "HAS ACQ CONTEXT": (frozenset({"CONTAINER", "IMAGE", "COMPOSITE", "NUM"}), _BASIC | {"NUM"}),
    "HAS CONCEPT MOD": (frozenset(), frozenset({"TEXT", "CODE"})),
    "HAS PROPERTIES": (frozenset({"TEXT", "CODE", "NUM", "PNAME"}), frozenset()),
    "INFERRED FROM": (frozenset({"TEXT", "CODE", "NUM"}), frozenset()),
    "SELECTED FROM": (frozenset({"SCOORD", "TCOORD"}), frozenset({"IMAGE", "SCOORD", "WAVEFORM"})),
}
# Graphic Type -> smallest and largest count of numbers, PS3.3 C.18.6.1.2
_NUMBERS = {"POINT": (2, 2), "POLYLINE": (4, 2**31), "CIRCLE": (4, 4), "ELLIPSE": (8, 8)}


def check_content(ds: Dataset, source: Dataset) -> Iterator[str]:
    """Check the tree of an SR or a Key Object Selection; other objects have none."""
    value_types = _VALUE_TYPES.get(str(ds.get("SOPClassUID")))
    if value_types is None:
        return
    if ds.get("ValueType") != "CONTAINER" or not ds.get("ContentSequence"):
        yield "the root of the content tree is not a container, or is empty"
        return
    expected = templates.DOCUMENTS.get(_concept(ds))
    if expected is None:
        yield "the document has a title the node does not use"
    elif _template(ds) not in expected:
        yield f"the document does not say that it follows TID {expected[-1]}"
    yield from _walk(ds, value_types, _size(source))


def _size(source: Dataset) -> tuple[int, int]:
    """Return columns and rows of the film."""
    return int(header_number(source, "Columns", 0)), int(header_number(source, "Rows", 0))


def _walk(item: Dataset, value_types: frozenset[str], size: tuple[int, int]) -> Iterator[str]:
    value_type, here = str(item.get("ValueType", "")), _named(item)
    if value_type not in value_types:
        yield f"{here}: value type {value_type} is not one of this SOP class"
    yield from (f"{here}: {fault}" for fault in _lacks(item, value_type, size))
    yield from (f"{here}: {fault}" for fault in _misplaced(item, value_type))
    yield from (f"{here}: {fault}" for fault in _against_template(item))
    for child in item.get("ContentSequence") or ():
        yield from _walk(child, value_types, size)


def _lacks(item: Dataset, value_type: str, size: tuple[int, int]) -> Iterator[str]:
    """Yield what the item lacks for its value type."""
    for keyword in _NEEDS.get(value_type, ()):
        if keyword not in item or item[keyword].is_empty:
            yield f"{keyword} is missing or empty"
            return
    for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence"):
        yield from _bad_code(item, keyword)
    if not item.get("ConceptNameCodeSequence") and value_type not in _MAY_LACK_A_NAME:
        yield "has no concept name"
    if value_type == "NUM":
        yield from _bad_number(item)
    elif value_type == "SCOORD":
        yield from _bad_graphic(item, size)


def _bad_code(item: Dataset, keyword: str) -> Iterator[str]:
    """Code Sequence Macro, PS3.3 8.8."""
    for code in item.get(keyword) or ():
        values = [code.get(name) for name in ("CodeValue", "LongCodeValue", "URNCodeValue")]
        scheme = code.get("CodingSchemeDesignator") or code.get("URNCodeValue")
        if sum(map(bool, values)) != 1 or not scheme or not code.get("CodeMeaning"):
            yield f"{keyword} is not a complete code"


def _bad_number(item: Dataset) -> Iterator[str]:
    for measured in item.MeasuredValueSequence:
        units = list(measured.get("MeasurementUnitsCodeSequence") or [])
        if len(units) != 1 or units[0].get("CodingSchemeDesignator") != "UCUM":
            yield "has no UCUM unit"
        elif measured.get("NumericValue") is None:
            yield "NumericValue is missing or empty"
        elif units[0].get("CodeValue") == "%" and not 0 <= measured.NumericValue <= 100:
            yield "is not within 0 to 100 per cent"


def _bad_graphic(item: Dataset, size: tuple[int, int]) -> Iterator[str]:
    data = list(item.GraphicData)
    least, most = _NUMBERS.get(item.GraphicType, (2, 2**31))
    if len(data) % 2 or not least <= len(data) <= most:
        yield f"GraphicData does not fit GraphicType {item.GraphicType}"
    elif min(data) < 0 or max(data[::2]) > size[0] or max(data[1::2]) > size[1]:
        yield "GraphicData lies outside the film"


def _misplaced(item: Dataset, value_type: str) -> Iterator[str]:
    """Yield relationships that the standard does not allow between these value types."""
    for child in item.get("ContentSequence") or ():
        parents, children = _RELATIONSHIPS.get(child.get("RelationshipType", ""), (None, None))
        if parents is None or children is None:
            yield f"a child has relationship {child.get('RelationshipType')!r}"
        elif (parents and value_type not in parents) or (
            children and child.get("ValueType") not in children
        ):
            yield f"{child.RelationshipType} cannot lead to {child.get('ValueType')}"


def _against_template(item: Dataset) -> Iterator[str]:
    """Compare the children of an item with the rows of its template."""
    kind = _kind(item)
    rows = templates.CHILDREN.get(kind)
    if rows is None:
        if kind.startswith("TID"):
            yield "a measurement group of a template the node does not use"
        return
    counts = dict.fromkeys(rows, 0)
    for child in item.get("ContentSequence") or ():
        found = (child.get("RelationshipType", ""), child.get("ValueType", ""), _concept(child))
        row = found if found in rows else (*found[:2], "*")
        if row in counts:
            counts[row] += 1
        else:
            yield f"{' '.join(found)} is in no row of the template"
    for row, (least, most) in rows.items():
        if not least <= counts[row] <= most:
            yield f"{' '.join(row)} occurs {counts[row]} times, not {least} to {most}"
    if kind == "TID 1501":
        yield from _without_coordinates(item)


def _without_coordinates(group: Dataset) -> Iterator[str]:
    """Find measurements without coordinates: OHIF crashes on them."""
    numbers = [i for i in group.get("ContentSequence") or () if i.get("ValueType") == "NUM"]
    if not numbers:
        yield "has no measurement, so no coordinates"
    for number in numbers:
        inferred = [i.get("ValueType") for i in number.get("ContentSequence") or ()]
        if "SCOORD" not in inferred:
            yield "a measurement has no coordinates"


def _kind(item: Dataset) -> str:
    """Return the key of an item in `templates.CHILDREN`: template, value type or concept."""
    value_type, concept = str(item.get("ValueType", "")), _concept(item)
    if value_type in ("NUM", "SCOORD"):
        return value_type
    if value_type == "CONTAINER":
        return f"TID {_template(item)}" if concept == templates.GROUP else concept
    return ""


def _template(item: Dataset) -> str | None:
    found = item.get("ContentTemplateSequence") or ()
    return str(found[0].get("TemplateIdentifier", "")) if found else None


def _concept(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or ()
    return str(names[0].get("CodeValue", "")) if names else ""


def _named(item: Dataset) -> str:
    """Name an item in a message by its concept's meaning, which holds no patient data."""
    names = item.get("ConceptNameCodeSequence") or ()
    meaning = names[0].get("CodeMeaning", "") if names else ""
    return f"{item.get('ValueType', '')} {meaning}".strip()
