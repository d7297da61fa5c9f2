"""docs/ARCHITECTURE.md draws the tree, the layers and the libraries as they are."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
#: Needed in most rooms; the page says so and lists them nowhere.
EVERYWHERE = {"numpy", "pydicom", "structlog"}


def _between(mark: str) -> str:
    return PAGE.split(f"<!-- {mark}: begin -->")[1].split(f"<!-- {mark}: end -->")[0]


def test_the_tree_names_every_folder_and_module_of_the_package() -> None:
    """A newcomer finds in the tree whatever `ls dicom_node` shows, and no more."""
    shown = set(re.findall(r"^  (\w+(?:/|\.py)) ", _between("tree"), re.M))
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / "dicom_node").iterdir()
        if (path / "__init__.py").is_file() or path.suffix == ".py"
    }
    assert shown == there - {"__init__.py", "__main__.py"}


def test_the_layers_are_those_of_the_import_contract() -> None:
    """The picture is the contract "the node reads top to bottom" line by line."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [layers] = [
        contract["layers"]
        for contract in contracts["contracts"]
        if contract.get("containers") == ["dicom_node"]
    ]
    shown = _between("layers").strip().strip("`").strip().splitlines()
    assert [re.split(r"\s{3,}", line) for line in shown] == [
        re.split(r" [|:] ", line) for line in layers
    ]


def test_every_library_is_listed_with_the_rooms_that_import_it() -> None:
    """A library row names its rooms exactly; none of the imported libraries is left out."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", _between("libraries"), re.M)
    shown = {library: set(rooms.split(", ")) for library, rooms in rows}
    assert shown == _rooms_by_library()


def _rooms_by_library() -> dict[str, set[str]]:
    rooms: dict[str, set[str]] = defaultdict(set)
    for package in ("dicom_node", "models"):
        for path in (ROOT / package).rglob("*.py"):
            inside = path.relative_to(ROOT).with_suffix("").parts
            room = "models" if package == "models" else inside[1]
            for library in _libraries(path):
                rooms[library].add(room)
    return {name: where for name, where in rooms.items() if name not in EVERYWHERE}


def _libraries(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    tops = {module.split(".")[0] for module in modules}
    return tops - set(sys.stdlib_module_names) - {"dicom_node", "models", "train", "__future__"}
