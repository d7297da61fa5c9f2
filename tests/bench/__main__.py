"""``make bench``: measure, print the table, write it into the documentation.

``PYTHONPATH=.:tests python -m bench [GROUP...] [--json] [--write PAGE]``
"""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.machine import describe
from bench.rows import Report, Row, insert
from bench.run import Run
from rich.console import Console

# Group -> where it is measured. A function of a `Run` gives the group's rows.
GROUPS: dict[str, str] = {
    "inference": "bench.inference:against_floors",
    "recipe": "bench.inference:against_recipe",
    "pixels": "bench.pixels:decode",
    "compose": "bench.pixels:compose_objects",
    "film": "bench.film:whole",
    "processes": "bench.processes:of_a_node",
    "reception": "bench.reception:films",
    "small": "bench.reception:small_files",
    "association": "bench.reception:associations",
    "audit": "bench.audit:events",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks somebody asks for."""
    given = _parser().parse_args(arguments)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit("bench: told to stop")
    )  # what was started is stopped
    chosen = [name for name in GROUPS if name in (given.groups or GROUPS)]
    progress = Console(stderr=True)
    rows: list[Row] = []
    began = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.scratch) as folder:
        machine = describe(Path(folder))
        try:
            for name in chosen:
                for row in _measure(name, _place(Path(folder), name, given.repeat), progress):
                    rows.append(row)
                    progress.print(f"[dim]{name}[/]  {'  '.join(filter(None, row.cells()))}",
                                   highlight=False)  # fmt: skip
        finally:  # what was measured is shown, whatever went wrong after it
            report = Report(
                rows=tuple(rows),
                machine=machine,
                date=f"{began:%Y-%m-%d %H:%M} UTC",
                command=" ".join(["python -m bench", *given.groups]),
            )
            _show(report, as_json=given.json)
    if given.write is not None:
        insert(report, given.write)


def _place(scratch: Path, group: str, repeat: int) -> Run:
    (folder := scratch / group).mkdir()
    return Run(scratch=folder, repeat=repeat)


def _measure(group: str, run: Run, progress: Console) -> Iterator[Row]:
    module, _, function = GROUPS[group].partition(":")
    measure: Callable[[Run], Iterator[Row]] = getattr(importlib.import_module(module), function)
    with progress.status(f"measuring {group}"):
        yield from measure(run)


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")
    else:
        Console().print(report.table())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="Print the node's figures.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"all of: {', '.join(GROUPS)}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page to put the table into")
    parser.add_argument("--repeat", type=int, default=5, help="measurements of each thing")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="folder on the disk to measure")
    return parser


if __name__ == "__main__":
    main()
