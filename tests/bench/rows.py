"""A row of figures, the machine it was measured on, and the two ways a table is printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
_HEADINGS = ("what", "ratio", "target", "measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement. ``ratio`` compares machines; ``measured`` is this one's own time."""

    name: str
    measured: str
    ratio: float | None = None
    target: str | None = None  # what the ratio, or the measurement, should be

    def cells(self) -> tuple[str, str, str, str]:
        """What stands in the table."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return self.name, ratio, self.target or "", self.measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run: its rows, and what one must know to repeat it."""

    rows: tuple[Row, ...]
    machine: str
    date: str
    command: str

    def table(self) -> Table:
        """For a terminal."""
        table = Table(title="Benchmarks", caption=escape(f"{self.machine}, {self.date}"))
        for heading in _HEADINGS:
            table.add_column(heading, justify="right" if heading == "ratio" else "left")
        for row in self.rows:
            table.add_row(*map(escape, row.cells()))
        return table

    def markdown(self) -> str:
        """For the documentation."""
        facts = (("Machine", self.machine), ("Date", self.date), ("Command", f"`{self.command}`"))
        lines = [f"- {name}: {fact}" for name, fact in facts]
        lines += ["", _line(_HEADINGS), "| :-- | --: | :-- | :-- |"]
        lines += [_line(row.cells()) for row in self.rows]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self)


def insert(report: Report, page: Path) -> None:
    """Replace what stands between the markers of a page."""
    text = page.read_text(encoding="utf-8")
    head, found, rest = text.partition(BEGIN)
    _, closed, tail = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"{page} has no {BEGIN} and {END}")
    page.write_text(f"{head}{BEGIN}\n{report.markdown()}\n{END}{tail}", encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cells))} |"


def _plain(cells: Iterable[str]) -> list[str]:
    return [cell.replace("|", "\\|").replace("\n", " ") for cell in cells]
