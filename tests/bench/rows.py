"""Measured rows, the machine they were measured on, and the ways to print them."""

from __future__ import annotations

import re
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
    """One measurement. ``ratio`` is comparable between machines; ``measured`` is not."""

    name: str
    measured: str
    ratio: float | None = None
    target: str | None = None  # of the ratio or of the measurement

    def cells(self) -> tuple[str, str, str, str]:
        """The cells of the table."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return self.name, ratio, self.target or "", self.measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The rows of one group of benchmarks."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run: its groups, and what is needed to repeat it."""

    groups: tuple[Group, ...]
    machine: str
    date: str
    version: str
    command: str

    def table(self) -> Table:
        """For a terminal."""
        table = Table(title="Benchmarks", caption=escape(f"{self.machine}, {self.date}"))
        for heading in _HEADINGS:
            table.add_column(heading, justify="right" if heading == "ratio" else "left")
        for group in self.groups:
            for row in group.rows:
                table.add_row(*map(escape, row.cells()))
        return table

    def sections(self) -> dict[str, str]:
        """Markdown for the documentation: group -> its section."""
        facts = f"{self.date}, version {self.version}, {self.machine}: `{self.command}`"
        return {
            group.name: "\n".join(
                (
                    f"### {group.name}\n\n{facts}\n",
                    _line(_HEADINGS),
                    "| :-- | --: | :-- | :-- |",
                    *(_line(row.cells()) for row in group.rows),
                )
            )
            for group in self.groups
        }

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self)


def insert(report: Report, page: Path, order: Sequence[str]) -> None:
    """Write the report's groups between the markers of a page; groups that were not run stay.

    Raises
    ------
    ValueError
        The page has no markers.
    """
    text = page.read_text(encoding="utf-8")
    head, found, rest = text.partition(BEGIN)
    old, closed, tail = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"{page} has no {BEGIN} and {END}")
    there = re.split(r"^(?=### )", old, flags=re.MULTILINE)[1:]
    sections = {part[4:].split("\n", 1)[0].strip(): part.strip() for part in there}
    sections |= report.sections()
    shown = "\n\n".join(sections[name] for name in order if name in sections)
    page.write_text(f"{head}{BEGIN}\n{shown}\n{END}{tail}", encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cells))} |"


def _plain(cells: Iterable[str]) -> list[str]:
    return [cell.replace("|", "\\|").replace("\n", " ") for cell in cells]
