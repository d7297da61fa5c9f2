"""Prose and names avoid the turns that a fluent reader would have to read twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository.words import ROOT, files, found


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_banned_turn(path: Path) -> None:
    """`python -m repository.words PATH` lists what to say in place of each."""
    name = path.relative_to(ROOT).as_posix()
    places = list(found(path.read_text(), name))
    assert not places


@pytest.mark.parametrize(
    "text",
    ["It is told once.", "def tell_it", "class PledgeStore", "Nobody\n# knows", "in\n    vain"],
)
def test_the_search_sees_names_comments_and_broken_lines(text: str) -> None:
    """A turn is found inside a name, in capitals, and across a line break."""
    assert len(list(found(text))) == 1


def test_the_search_leaves_the_methods_of_files_alone() -> None:
    """`stream.tell()` is the standard library's."""
    assert not list(found("position = stream.tell()"))
