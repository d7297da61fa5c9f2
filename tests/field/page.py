"""The tables of docs/FIELD.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from field.reports.network import NetworkReport
from field.reports.report import Report
from field.run import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "FIELD.md"


def table(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """One row for each collection, then each file that failed."""
    return "\n".join(_lines(outcomes)) + "\n"


def _lines(outcomes: Mapping[str, Sequence[Outcome]]) -> Iterator[str]:
    yield "| Collection | Files | Read | Refused, by code | Failed | Slowest | Most memory |"
    yield "|---|---|---|---|---|---|---|"
    for name, each in outcomes.items():
        how = Counter(outcome.how for outcome in each)
        read = how.pop("read", 0)
        codes = {code: count for code, count in how.most_common() if code not in _BAD}
        yield (
            f"| {name} | {len(each)} | {read} "
            f"| {', '.join(f'{code} {count}' for code, count in codes.items()) or '-'} "
            f"| {sum(outcome.failed for outcome in each)} "
            f"| {max((outcome.seconds for outcome in each), default=0):.1f} s "
            f"| {max((outcome.mebibytes for outcome in each), default=0)} MiB |"
        )
    failed = [outcome for each in outcomes.values() for outcome in each if outcome.failed]
    if failed:
        yield ""
        for outcome in failed:
            took = f"{outcome.seconds:.1f} s, {outcome.mebibytes} MiB"
            yield f"- `{outcome.path.name}`: {outcome.how}: {outcome.why} ({took})"


_BAD = ("FAILED", "withheld")


def reports_table(reports: Iterable[Report | NetworkReport]) -> str:
    """One row for each public report."""
    lines = ["| Report | What went wrong there | What the node does |", "|---|---|---|"]
    lines += [f"| {each.thread} | {each.trouble} | {each.answer} |" for each in reports]
    return "\n".join(lines) + "\n"


def marks(name: str) -> tuple[str, str]:
    """The lines of the page between which a table lies."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def write(page: Path, name: str, text: str) -> None:
    """Replace the table of this name."""
    begin, end = marks(name)
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
