"""The decisions in docs/adr say what the code does."""

from __future__ import annotations

import ast
import re
import warnings
from fnmatch import fnmatch
from pathlib import Path

from dicom_node.config import Config

ROOT = Path(__file__).parents[2]
ADR = ROOT / "docs" / "adr"


def _page(number: str) -> str:
    [path] = ADR.glob(f"{number}-*.md")
    return path.read_text()


def test_the_keys_that_shape_uids_are_those_of_the_configuration_digest() -> None:
    """ADR 0004 names each key whose change gives new UIDs, and no other."""
    text = " ".join(_page("0004").split())
    [named] = re.findall(r"configuration that shapes results \(([^)]+)\)", text)
    included, _, excepted = named.partition(" except ")
    shaping, base = set(), Config()
    for section in Config.model_fields:
        for key, value in dict(getattr(base, section)).items() if section != "destinations" else ():
            other = getattr(base, section).model_copy(update={key: f"not {value}"})
            with warnings.catch_warnings(action="ignore"):  # the other value may not be valid
                if base.model_copy(update={section: other}).digest != base.digest:
                    shaping.add(f"{section}.{key}")
    patterns = re.findall(r"`([\w.*]+)`", included)
    every = {f"{section}.{key}" for section in Config.model_fields if section != "destinations"
             for key in dict(getattr(base, section))}  # fmt: skip
    listed = {key for key in every if any(fnmatch(key, pattern) for pattern in patterns)}
    assert shaping == listed - set(re.findall(r"`([\w.]+)`", excepted))


def test_the_internals_of_pynetdicom_are_listed() -> None:
    """ADR 0005 lists each internal the receiving and sending code uses, and no other."""
    listed = _page("0005").split("<!-- internals: begin -->")[1].split("<!-- internals: end -->")[0]
    assert set(re.findall(r"^\| `([\w.]+)` \|", listed, re.M)) == {
        name
        for room in ("receive", "deliver", "commitment", "demo", "dicom")
        for path in (ROOT / "dicom_node" / room).glob("*.py")
        for name in _internals(path)
    }


def _internals(path: Path) -> set[str]:
    """Attributes below an association's ``dul`` and ``acse``, its ``dimse``, and private ones."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Attribute):
            continue
        owner = getattr(node.value, "attr", None) or getattr(node.value, "id", "")
        owner = str(owner).lstrip("_")
        if owner in {"dul", "acse"}:
            found.add(f"{owner}.{node.attr}")
        elif node.attr == "dimse" and owner == "assoc":
            found.add("assoc.dimse")
        elif owner in {"ae", "message"} and node.attr.startswith("_"):
            found.add(f"{owner}.{node.attr}")
    return found


def test_every_decision_has_context_decision_and_cost() -> None:
    """A page without its cost is an advertisement; the index lists each page."""
    index = (ROOT / "docs" / "README.md").read_text()
    for path in sorted(ADR.glob("*.md")):
        text = path.read_text()
        assert text.startswith(f"# {path.name[:4]} "), path.name
        for heading in ("**Context.**", "**Decision.**", "**Cost.**"):
            assert heading in text, path.name
        assert f"(adr/{path.name})" in index, path.name
