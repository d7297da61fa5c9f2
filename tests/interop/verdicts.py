"""The outcome of each program for each case, and how a whole run is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_STYLES = {"PASS": "green", "FAIL": "bold red", "SKIP": "yellow"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one program for one case; ``why`` quotes the program."""

    program: str
    case: str
    outcome: Literal["PASS", "FAIL", "SKIP"]
    why: tuple[str, ...] = ()


def verdict(program: str, case: str, complaints: Iterable[str]) -> Verdict:
    """PASS if there are no complaints, else FAIL."""
    why = tuple(complaints)
    return Verdict(program, case, "FAIL" if why else "PASS", why)


def failed(verdicts: Iterable[Verdict], strict: bool) -> bool:
    """Whether the run as a whole failed; with ``strict`` a skip counts as a failure."""
    outcomes = Counter(one.outcome for one in verdicts)
    return bool(outcomes["FAIL"] or not outcomes["PASS"] or (strict and outcomes["SKIP"]))


def as_json(verdicts: Sequence[Verdict], strict: bool) -> dict[str, Any]:
    """For a program."""
    return {"failed": failed(verdicts, strict), "verdicts": [asdict(one) for one in verdicts]}


def show(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print a table of programs and cases, then every reason."""
    programs = list(dict.fromkeys(one.program for one in verdicts))
    cells = {(one.case, one.program): one.outcome for one in verdicts}
    table = Table("case", *programs, title="Interoperability")
    for column in table.columns:
        column.no_wrap = True
    for case in dict.fromkeys(one.case for one in verdicts):
        row = [cells.get((case, program), "") for program in programs]
        table.add_row(case, *(f"[{_STYLES[cell]}]{cell}" if cell else "" for cell in row))
    console.print(table)
    for one in verdicts:
        if one.outcome != "PASS":
            style = _STYLES[one.outcome]
            console.print(f"[{style}]{one.outcome}[/] {one.program}, {one.case}", highlight=False)
            for line in one.why:
                console.print(f"     {escape(line)}", highlight=False)
    counted = Counter[str](one.outcome for one in verdicts)
    console.print(", ".join(f"{counted[name]} {name}" for name in _STYLES))
