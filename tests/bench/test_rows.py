"""The table a benchmark run writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.__main__ import GROUPS
from bench.rows import BEGIN, END, Report, Row, insert

PAGE = Path(__file__).parents[2] / "docs" / "BENCHMARKS.md"


def _report() -> Report:
    rows = (
        Row(name="ours / theirs", ratio=1.256, target="≥ 1.0", measured="13 / 10 a second"),
        Row(name="start", measured="0.4 s | 50 MB"),
    )
    return Report(rows=rows, machine="a machine", date="today", command="python -m bench")


def test_the_table_is_written_between_the_markers_and_nothing_else_changes(tmp_path: Path) -> None:
    """What was there is replaced; the hand-written text around it stays."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    insert(_report(), page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n- Machine: a machine\n")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "| ours / theirs | 1.26 | ≥ 1.0 | 13 / 10 a second |" in text
    assert "| start |  |  | 0.4 s \\| 50 MB |" in text
    assert "old" not in text


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    """A table is never written where nobody made room for one."""
    page = tmp_path / "page.md"
    page.write_text("text\n")
    with pytest.raises(ValueError, match="has no"):
        insert(_report(), page)
    assert page.read_text() == "text\n"


def test_every_group_is_explained_on_the_page() -> None:
    """Who asks for one group finds on the page what its rows mean."""
    text = PAGE.read_text(encoding="utf-8")
    assert BEGIN in text
    assert END in text
    for group in GROUPS:
        assert f"`{group}`" in text
