"""The few Markdown elements that a statement needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def heading(number: str, title: str) -> str:
    """Write a heading; its depth follows from its number."""
    return f"{'#' * (number.count('.') + 2)} {number} {title}\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table, or a sentence if there are no rows."""
    lines = [_line(row) for row in rows]
    if not lines:
        return "None.\n"
    return "\n".join([_line(columns), _line(["---"] * len(columns)), *lines]) + "\n"


def bullets(items: Iterable[str]) -> str:
    """Write a list."""
    return "".join(f"- {item}\n" for item in items)


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: object) -> str:
    text = " ".join(str(value).split())
    return text.replace("|", "\\|").replace("<", "&lt;")
