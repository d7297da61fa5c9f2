"""What PS3.3 requires of the objects the node makes, cut out of highdicom's copy of the standard.

highdicom's own table is 22 MB and private to it. ``python tests/support/iod_tables.py`` writes
`dicom_node/check_objects/attributes.json` again; a test holds that file against this.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import dicom_node
from dicom_node.check_objects.attributes import INHERITED

#: keyword -> (type, the same of its items); type 3 is kept for what is required below it
Tree: TypeAlias = dict[str, tuple[str, "Tree"]]

TARGET = Path(dicom_node.__file__).parent / "check_objects" / "attributes.json"
#: IOD -> the SOP classes that are one; the SRs we make differ in their content alone
SOP_CLASSES = {
    "secondary-capture-image": "1.2.840.10008.5.1.4.1.1.7",
    "comprehensive-3d-sr": " ".join(f"1.2.840.10008.5.1.4.1.1.88.{n}" for n in (11, 22, 33, 34)),
    "key-object-selection-document": "1.2.840.10008.5.1.4.1.1.88.59",
    "segmentation": "1.2.840.10008.5.1.4.1.1.66.4",
    "grayscale-softcopy-presentation-state": "1.2.840.10008.5.1.4.1.1.11.1",
    "parametric-map": "1.2.840.10008.5.1.4.1.1.30",
}
# Content items have attributes by their value type: `dicom_node.check_objects.content` knows.
ELSEWHERE = {"sr-document-content"}


def is_there() -> bool:
    """Whether highdicom keeps its copy where this looks for it."""
    return (files("highdicom") / "_standard" / "module_attribute_map.json").is_file()


def tables() -> dict[str, Tree]:
    """SOP class UIDs -> what is required, of highdicom as installed."""
    standard = files("highdicom") / "_standard"
    modules_of = json.loads((standard / "iod_module_map.json").read_text())
    attributes_of = json.loads((standard / "module_attribute_map.json").read_text())
    found: dict[str, Tree] = {}
    for iod, sop_classes in SOP_CLASSES.items():
        required: Tree = {}
        for module in modules_of[iod]:
            if module["key"] not in ELSEWHERE:
                rows = attributes_of[module["key"]]
                _merge(required, _prune(_tree(rows, mandatory=module["usage"] == "M")))
        found[sop_classes] = required
    return found


def _tree(rows: list[dict[str, Any]], *, mandatory: bool) -> Tree:
    """A module's rows nested; of a module that need not be there nothing at its top is required."""
    tree: Tree = {}
    for row in rows:
        place = tree
        for keyword in row["path"]:
            place = place[keyword][1]
        required = row["type"] in ("1", "2") and (mandatory or row["path"])
        if row["path"] and row["path"][-1].endswith("FunctionalGroupsSequence"):
            required = False  # which groups must be there, no module says
        place[row["keyword"]] = (row["type"] if required else "3", {})
    return tree


def _prune(tree: Tree) -> Tree:
    kept: Tree = {}
    for keyword, (kind, below) in tree.items():
        required = {} if keyword in INHERITED else _prune(below)
        if kind != "3" or required:
            kept[keyword] = (kind, required)
    return kept


def _merge(into: Tree, tree: Tree) -> None:
    """Modules share attributes; the strictest type holds."""
    for keyword, (kind, below) in tree.items():
        known, known_below = into.get(keyword, ("3", {}))
        into[keyword] = (min(known, kind), known_below)
        _merge(known_below, below)


def as_text(found: dict[str, Tree]) -> str:
    """JSON with an attribute of the top level a line, so that a change can be seen."""
    classes = []
    for sop_class, tree in sorted(found.items()):
        lines = [f"{json.dumps(key)}: {json.dumps(tree[key])}" for key in sorted(tree)]
        classes.append(f'"{sop_class}": {{\n' + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(classes) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(as_text(tables()))
