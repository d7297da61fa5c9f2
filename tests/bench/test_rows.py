"""The tables a benchmark run writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bench.__main__ import GROUPS, QUIET, main
from bench.rows import BEGIN, END, Group, Report, Row, insert

PAGE = Path(__file__).parents[2] / "docs" / "BENCHMARKS.md"
ORDER = ("film", "audit")


def _report(*groups: str, date: str = "today") -> Report:
    rows = (
        Row(name="ours / theirs", ratio=1.256, target="≥ 1.0", measured="13 / 10 a second"),
        Row(name="start", measured="0.4 s | 50 MB"),
    )
    return Report(
        groups=tuple(Group(name=name, rows=rows) for name in groups),
        machine="a machine",
        date=date,
        version="1.2.3",
        command="python -m bench",
    )


@pytest.fixture
def page(tmp_path: Path) -> Path:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    return page


def test_the_tables_are_written_between_the_markers_and_nothing_else_changes(page: Path) -> None:
    """Text between the markers is replaced; the text around them stays."""
    insert(_report("audit"), page, ORDER)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n### audit\n\ntoday, version 1.2.3, a machine: ")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "| ours / theirs | 1.26 | ≥ 1.0 | 13 / 10 a second |" in text
    assert "| start |  |  | 0.4 s \\| 50 MB |" in text
    assert "old" not in text


def test_groups_that_were_not_run_keep_their_rows_and_their_date(page: Path) -> None:
    """A later run of one group replaces this group; the order is that of the program."""
    insert(_report("audit", "film", date="yesterday"), page, ORDER)
    insert(_report("audit", date="today"), page, ORDER)
    text = page.read_text()
    assert text.index("### film\n\nyesterday, ") < text.index("### audit\n\ntoday, ")
    assert text.count("###") == 2
    again = text
    insert(_report("audit", date="today"), page, ORDER)
    assert page.read_text() == again


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    """A table is written only to a page that has a place for it."""
    page = tmp_path / "page.md"
    page.write_text("text\n")
    with pytest.raises(ValueError, match="has no"):
        insert(_report("audit"), page, ORDER)
    assert page.read_text() == "text\n"


def test_nothing_is_written_on_a_busy_machine(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a load average above the limit, `--write` refuses before it measures anything."""
    monkeypatch.setattr(os, "getloadavg", lambda: (QUIET + 0.1, 0.0, 0.0))
    with pytest.raises(SystemExit, match=r"load average is 0\.6"):
        main(["audit", "--write", str(page)])
    assert "old" in page.read_text()


def test_every_group_is_explained_on_the_page() -> None:
    """The page says what the rows of each group mean."""
    text = PAGE.read_text(encoding="utf-8")
    assert BEGIN in text
    assert END in text
    for group in GROUPS:
        assert f"| `{group}` |" in text
