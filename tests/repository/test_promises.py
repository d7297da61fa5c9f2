"""What documents, contracts and docstrings say of the code is so."""

from __future__ import annotations

import ast
import re
import tomllib
import typing
from pathlib import Path
from typing import Any

from dicom_node import errors, ports
from dicom_node.errors import NodeError
from dicom_node.receive.contexts import STORED

ROOT = Path(__file__).parents[2]
PACKAGES = ("dicom_node", "models", "train")


def test_the_changelog_counts_the_transfer_syntaxes() -> None:
    """The number of transfer syntaxes of a film is the one that is negotiated."""
    text = " ".join((ROOT / "CHANGELOG.md").read_text().split())
    [count] = re.findall(r"Secondary Capture in (\d+) transfer syntaxes", text)
    syntaxes = {syntax for each in STORED.values() for syntax in each.transfer_syntaxes}
    assert int(count) == len(syntaxes)


def test_contributing_lists_the_places_with_a_broad_except() -> None:
    """`except Exception` is where CONTRIBUTING allows it, and nowhere else."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    listed = text.split("<!-- broad: begin -->")[1].split("<!-- broad: end -->")[0]
    assert set(re.findall(r"`([\w/]+\.py)`", listed)) == {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "dicom_node").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"})
    }


def test_what_train_takes_of_the_node_is_allowed_by_the_contract() -> None:
    """The contract forbids train every room that it does not use; the doors have names."""
    [contract] = [
        each
        for each in _contracts()
        if each["type"] == "forbidden" and each["source_modules"] == ["train"]
    ]
    doors = {line.split(" -> ")[1] for line in contract["ignore_imports"]}
    used = {
        ".".join(module.split(".")[:2])
        for path in (ROOT / "train").rglob("*.py")
        for module in _imported(path)
        if module.startswith("dicom_node.") and not module.startswith(tuple(doors))
    }
    assert not used & set(contract["forbidden_modules"])
    for room in ("select_images", "pixels", "gate"):
        assert f"dicom_node.{room}" in used, "the contract's name promises it"


def test_the_tree_of_errors_is_complete() -> None:
    """`errors.py` draws each of its errors under its parent."""
    assert _drawn(errors.__doc__ or "") == {
        name: getattr(value.__base__, "__name__", "") if value is not NodeError else ""
        for name, value in vars(errors).items()
        if isinstance(value, type)
    }


def test_errors_that_are_not_drawn_stay_in_their_package() -> None:
    """An error defined elsewhere is not imported across the rooms of the node."""
    for path in (ROOT / "dicom_node").rglob("*.py"):
        room = path.relative_to(ROOT).parts[1]
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            if not {getattr(base, "id", "") for base in node.bases} & set(vars(errors)):
                continue
            users = {
                each.relative_to(ROOT).parts[1]
                for each in (ROOT / "dicom_node").rglob("*.py")
                if re.search(rf"\b{node.name}\b", each.read_text())
            }
            assert room == "errors.py" or users == {room}, node.name


def test_every_port_is_exported() -> None:
    """`ports.__all__` lists each protocol and alias of the module, and nothing else."""
    protocols = {
        name
        for name, value in vars(ports).items()
        if getattr(value, "_is_protocol", False) and value is not typing.Protocol
    }
    assert set(ports.__all__) - {"Clock"} == protocols


def _drawn(text: str) -> dict[str, str]:
    """Error -> its parent, from the indented tree of the docstring."""
    tree: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        if match := re.match(r"^    ((?:│ |  )*(?:[├└] )?)([A-Z]\w+)", line):
            depth = len(match[1]) // 2
            above = [each for each in above if each[0] < depth]
            tree[match[2]] = above[-1][1] if above else ""
            above.append((depth, match[2]))
    return tree


def _contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return contracts


def _imported(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules
