"""`stats --plot` draws the figures of `stats --json`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from dicom_node.cli.plots import draw
from dicom_node.errors import NodeError

DELAY = {"committed": 2, "p50_seconds": 3.0, "p95_seconds": 9.0}
GROUPS: dict[str, dict[str, Any]] = {
    "2026-01-01": {
        "above": 1, "near": 2, "below": 3, "refused": {"view": 4}, "destinations": {"pacs": DELAY},
    },
    "2026-01-02": {"above": 0, "near": 0, "below": 1, "refused": {}, "destinations": {}},
}  # fmt: skip


def test_the_picture_names_groups_results_and_destinations(tmp_path: Path) -> None:
    """In a format that holds its text; a group without a delivery has no point."""
    pytest.importorskip("matplotlib").rcParams["svg.fonttype"] = "none"
    draw("day", GROUPS, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    for word in ("2026-01-02", "above", "near", "below", "refused", "pacs, p50", "pacs, p95"):
        assert word in text


def test_a_time_without_a_committed_object_says_so(tmp_path: Path) -> None:
    """Instead of empty axes."""
    pytest.importorskip("matplotlib").rcParams["svg.fonttype"] = "none"
    draw("day", {"2026-01-02": GROUPS["2026-01-02"]}, tmp_path / "a.svg")
    assert "nothing was committed" in (tmp_path / "a.svg").read_text()


def test_a_title_with_dollar_signs_is_text(tmp_path: Path) -> None:
    """A peer chooses its AE title; matplotlib would read a formula and fail."""
    pytest.importorskip("matplotlib").rcParams["svg.fonttype"] = "none"
    draw("ae", {"$\\frac{1$": GROUPS["2026-01-02"]}, tmp_path / "a.svg")
    assert "$\\frac{1$" in (tmp_path / "a.svg").read_text()


def test_nothing_received_is_an_empty_picture(tmp_path: Path) -> None:
    """As on the first day."""
    pytest.importorskip("matplotlib")
    draw("day", {}, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["none/a.png", "a.exe"])
def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path, name: str) -> None:
    """It names the file."""
    pytest.importorskip("matplotlib")
    with pytest.raises(NodeError, match="cannot be written"):
        draw("day", GROUPS, tmp_path / name)


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain sentence, not a traceback."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NodeError, match=r"dicom-node\[plots\]"):
        draw("day", GROUPS, tmp_path / "a.png")
