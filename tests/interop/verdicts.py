"""What a judge said about a case, and how the whole run is shown."""

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
    """One judge on one case; ``why`` holds the judge's own words."""

    judge: str
    case: str
    outcome: Literal["PASS", "FAIL", "SKIP"]
    why: tuple[str, ...] = ()


def verdict(judge: str, case: str, complaints: Iterable[str]) -> Verdict:
    """Pass where nobody complains."""
    why = tuple(complaints)
    return Verdict(judge, case, "FAIL" if why else "PASS", why)


def failed(verdicts: Iterable[Verdict], strict: bool) -> bool:
    """Whether the run as a whole failed; a skip counts where ``strict``."""
    outcomes = Counter(one.outcome for one in verdicts)
    return bool(outcomes["FAIL"] or not outcomes["PASS"] or (strict and outcomes["SKIP"]))


def as_json(verdicts: Sequence[Verdict], strict: bool) -> dict[str, Any]:
    """For a program."""
    return {"failed": failed(verdicts, strict), "verdicts": [asdict(one) for one in verdicts]}


def show(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print a table of judge x case, then every reason."""
    judges = list(dict.fromkeys(one.judge for one in verdicts))
    cells = {(one.case, one.judge): one.outcome for one in verdicts}
    table = Table("case", *judges, title="Judges")
    for column in table.columns:
        column.no_wrap = True
    for case in dict.fromkeys(one.case for one in verdicts):
        row = [cells.get((case, judge), "") for judge in judges]
        table.add_row(case, *(f"[{_STYLES[cell]}]{cell}" if cell else "" for cell in row))
    console.print(table)
    for one in verdicts:
        if one.outcome != "PASS":
            style = _STYLES[one.outcome]
            console.print(f"[{style}]{one.outcome}[/] {one.judge}, {one.case}", highlight=False)
            for line in one.why:
                console.print(f"     {escape(line)}", highlight=False)
    counted = Counter[str](one.outcome for one in verdicts)
    console.print(", ".join(f"{counted[name]} {name}" for name in _STYLES))
