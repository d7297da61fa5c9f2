"""What the commands share: options, and how things are printed."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOT_FOR_DIAGNOSIS = "Research software, not a medical device: NOT FOR DIAGNOSTIC USE."

_PIPED_WIDTH = 160  # characters, where no terminal says how wide it is

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="DICOM_NODE_CONFIG", help="The configuration file."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def print_json(value: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain, ensure_ascii=False) + "\n")


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")  # a UID cut short is no use to anybody
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    Console(width=width).print(table)


def print_line(text: str) -> None:
    """Print one line on standard output."""
    sys.stdout.write(text + "\n")


def probability(stage: object) -> str:
    """A stage's JSON as ``0.91 (>= 0.50)``; empty where it did not run."""
    if not isinstance(stage, dict):
        return ""
    sign = ">=" if stage["positive"] else "<"
    return f"{stage['probability']:.2f} ({sign} {stage['threshold']:.2f})"
