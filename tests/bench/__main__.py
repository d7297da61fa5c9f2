"""``make bench``: measure, print the table, write it into the documentation.

``PYTHONPATH=.:tests python -m bench [GROUP...] [--json] [--write PAGE] [--anyway]``
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.machine import describe
from bench.rows import Group, Report, Row, insert
from bench.run import Run
from rich.console import Console

from dicom_node import __version__

#: Above this load average, other work would be measured, too.
QUIET = 0.5

# Group -> the function that measures it: given a `Run`, it yields the group's rows.
GROUPS: dict[str, str] = {
    "inference": "bench.inference:against_floors",
    "recipe": "bench.inference:against_recipe",
    "pixels": "bench.pixels:decode",
    "sandbox": "bench.pixels:confined",
    "compose": "bench.pixels:compose_objects",
    "film": "bench.film:whole",
    "throughput": "bench.film:throughput",
    "processes": "bench.processes:of_a_node",
    "reception": "bench.reception:films",
    "small": "bench.reception:small_files",
    "association": "bench.reception:associations",
    "audit": "bench.audit:events",
    "growth": "bench.growth:by_size",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the requested benchmarks; with ``--write`` only on a quiet machine."""
    given = _parser().parse_args(arguments)
    if given.write is not None and not given.anyway:
        _refuse_load(os.getloadavg()[0])
    # SystemExit instead of a silent end: processes that were started are stopped
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: terminated"))
    chosen = [name for name in GROUPS if name in (given.groups or GROUPS)]
    progress = Console(stderr=True)
    groups: dict[str, list[Row]] = {}
    began = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.scratch) as folder:
        machine = describe(Path(folder))
        try:
            for name in chosen:
                for row in _measure(name, _place(Path(folder), name, given.repeat), progress):
                    groups.setdefault(name, []).append(row)
                    cells = "  ".join(filter(None, row.cells()))
                    progress.print(f"[dim]{name}[/]  {cells}", highlight=False)
        finally:  # print what was measured, even if a later group failed
            report = Report(
                groups=tuple(Group(name=name, rows=tuple(rows)) for name, rows in groups.items()),
                machine=machine,
                date=f"{began:%Y-%m-%d %H:%M} UTC",
                version=__version__,
                command=" ".join(["python -m bench", *given.groups]),
            )
            _show(report, as_json=given.json)
    if given.write is not None:
        insert(report, given.write, tuple(GROUPS))


def _refuse_load(load: float) -> None:
    if load > QUIET:
        sys.exit(
            f"bench: the load average is {load:.1f}, above {QUIET}: other work would be measured, "
            "too. Wait until the machine is quiet, or use --anyway."
        )


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
    parser = argparse.ArgumentParser(prog="bench", description="Measure the node.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"all of: {', '.join(GROUPS)}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page to write the tables to")
    parser.add_argument("--anyway", action="store_true", help="write in spite of a busy machine")
    parser.add_argument("--repeat", type=int, default=5, help="measurements of each figure")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="folder on the disk to measure")
    return parser


if __name__ == "__main__":
    main()
