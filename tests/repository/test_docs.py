"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from dicom_node import config
from dicom_node.cli.app import app
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.states import DELIVERY_TRANSITIONS, JOB_TRANSITIONS
from dicom_node.domain.values import RefusalCode

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "OPERATIONS.md").read_text()


def _commands(command: object, prefix: str = "") -> list[str]:
    group = getattr(command, "commands", None)
    if group is None:
        return [prefix.strip()]
    return [
        name
        for word, inner in group.items()
        if not inner.hidden
        for name in _commands(inner, f"{prefix} {word}")
    ]


@pytest.mark.parametrize("command", _commands(typer.main.get_command(app)))
def test_every_command_is_in_the_operations_guide(command: str) -> None:
    """A command without a description is not finished."""
    assert f"dicom-node {command}" in OPERATIONS


def test_every_documented_command_exists() -> None:
    """README and the operations guide name no command that is not there."""
    known = _commands(typer.main.get_command(app))
    for text in (README, OPERATIONS):
        for words in re.findall(r"^\$ dicom-node ((?:[a-z]+ ?)+)", text, re.M):
            assert any(words.strip().startswith(command) for command in known), words


def test_the_state_tables_of_the_architecture_page_are_the_code() -> None:
    """docs/ARCHITECTURE.md shows the transition tables of the domain, all and no more."""
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    shown = page.split("states: begin")[1].split("states: end")[0]
    rows = re.findall(r"^\| (\S+) \| (\S+) \| (\S+) \|$", shown, re.M)
    expected = [
        (old.value, event.value, new.value)
        for table in (JOB_TRANSITIONS, DELIVERY_TRANSITIONS)
        for (old, event), new in table.items()
    ]
    assert sorted(rows) == sorted(expected)


def test_every_refusal_code_is_explained() -> None:
    """An administrator finds each refusal code in the operations guide."""
    for code in RefusalCode:
        assert f"`{code.value}`" in OPERATIONS


def test_every_audit_kind_is_explained() -> None:
    """An administrator finds each kind of audit line in the operations guide."""
    for kind in AuditKind:
        assert f"`{kind.value}`" in OPERATIONS


def test_every_config_section_is_in_the_operations_guide() -> None:
    """The guide says what each section is for."""
    for section in config.Config.model_fields:
        assert f"`{section}`" in OPERATIONS


def test_it_is_said_wherever_a_result_can_be_seen_that_this_is_research() -> None:
    """README and the command line's help both say that this is no medical device."""
    assert "not a medical device" in README
    assert "NOT FOR DIAGNOSTIC USE" in (typer.main.get_command(app).help or "")


def test_every_test_file_that_a_document_names_exists() -> None:
    """A page that points to a test points to one that is there."""
    known = {path.name for path in (ROOT / "tests").rglob("*.py")}
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        text = page.read_text()
        assert {name for name in re.findall(r"\b(test_\w+\.py)", text)} <= known, page.name
        for path in re.findall(r"`((?:dicom_node|models|train|tests|docs|docker)/[\w./-]+)`", text):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
