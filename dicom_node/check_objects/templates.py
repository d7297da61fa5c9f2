"""The templates of the node's documents (PS3.16 Annex A): allowed children of each item.

A row is (relationship, value type, concept) -> (at least, at most); concept "*" is any. The rows
are those of TID 1500, 1501, 1410, 1600 and 2010 that the node uses, with one extension; any other
child is a failure.
"""

from __future__ import annotations

from typing import Final, TypeAlias

Row: TypeAlias = tuple[str, str, str]
Rows: TypeAlias = dict[Row, tuple[int, int]]

MANY: Final = 999

MEASUREMENT_REPORT: Final = "126000"
_LIBRARY, _LIBRARY_GROUP, _MEASUREMENTS = "111028", "126200", "126010"
GROUP: Final = "125007"
_SOURCE = "260753009"

_LANGUAGE: Rows = {("HAS CONCEPT MOD", "CODE", "121049"): (0, 1)}
_OBSERVER: Rows = {
    ("HAS OBS CONTEXT", "CODE", "121005"): (1, 1),
    ("HAS OBS CONTEXT", "UIDREF", "121012"): (1, 1),
    ("HAS OBS CONTEXT", "TEXT", "*"): (0, MANY),
}
# TID 1501 and 1410 in common: tracking, finding and site, algorithm (TID 4019), evaluations
_IN_A_GROUP: Rows = {
    ("HAS OBS CONTEXT", "TEXT", "112039"): (1, 1),
    ("HAS OBS CONTEXT", "UIDREF", "112040"): (1, 1),
    ("CONTAINS", "CODE", "121071"): (1, 1),
    ("HAS CONCEPT MOD", "CODE", "363698007"): (0, MANY),
    ("HAS CONCEPT MOD", "TEXT", "111001"): (0, 1),
    ("HAS CONCEPT MOD", "TEXT", "111003"): (0, 1),
    ("HAS CONCEPT MOD", "TEXT", "111002"): (0, MANY),
    ("HAS CONCEPT MOD", "CODE", "111000"): (0, 1),
    ("CONTAINS", "NUM", "*"): (0, MANY),
    ("CONTAINS", "CODE", "*"): (0, MANY),
    ("CONTAINS", "TEXT", "*"): (0, MANY),
}
# concept of a document's root -> templates it may declare; None: declares none
DOCUMENTS: Final[dict[str, tuple[str | None, ...]]] = {
    MEASUREMENT_REPORT: ("1500",),
    "18748-4": (None, "2000"),  # Diagnostic Imaging Report, as plain text
    "113000": ("2010",),  # Key Object Selection: Of Interest
    "113002": ("2010",),  # For Referring Provider
    "113010": ("2010",),  # Quality Issue
}
_KEY_OBJECTS: Rows = {
    **_LANGUAGE,
    ("HAS CONCEPT MOD", "CODE", "113011"): (0, MANY),
    ("HAS OBS CONTEXT", "CODE", "*"): (0, MANY),
    ("HAS OBS CONTEXT", "UIDREF", "*"): (0, MANY),
    ("HAS OBS CONTEXT", "TEXT", "*"): (0, MANY),
    ("HAS OBS CONTEXT", "PNAME", "*"): (0, MANY),
    ("CONTAINS", "TEXT", "113012"): (0, 1),
    ("CONTAINS", "IMAGE", "*"): (0, MANY),
    ("CONTAINS", "COMPOSITE", "*"): (0, MANY),
}
# key of a content item (see `dicom_node.check_objects.content._kind`) -> allowed children
CHILDREN: Final[dict[str, Rows]] = {
    MEASUREMENT_REPORT: {
        ("HAS CONCEPT MOD", "CODE", "121049"): (1, 1),
        **_OBSERVER,
        ("HAS CONCEPT MOD", "CODE", "121058"): (1, MANY),
        ("CONTAINS", "TEXT", "111412"): (0, 1),  # no row of TID 1500, which is extensible
        ("CONTAINS", "CONTAINER", _LIBRARY): (0, 1),
        ("CONTAINS", "CONTAINER", _MEASUREMENTS): (1, 1),
    },
    _LIBRARY: {("CONTAINS", "CONTAINER", _LIBRARY_GROUP): (1, MANY)},
    _LIBRARY_GROUP: {("CONTAINS", "IMAGE", _SOURCE): (1, MANY)},
    _MEASUREMENTS: {("CONTAINS", "CONTAINER", GROUP): (1, MANY)},
    "TID 1501": {**_IN_A_GROUP, ("CONTAINS", "IMAGE", "121112"): (0, MANY)},
    "TID 1410": {**_IN_A_GROUP, ("CONTAINS", "SCOORD", "111030"): (1, 1)},
    "NUM": {
        ("INFERRED FROM", "SCOORD", _SOURCE): (0, MANY),
        ("INFERRED FROM", "IMAGE", "*"): (0, MANY),
    },
    "SCOORD": {("SELECTED FROM", "IMAGE", "*"): (1, 1)},
    "113000": _KEY_OBJECTS,
    "113002": _KEY_OBJECTS,
    "113010": _KEY_OBJECTS,
}
