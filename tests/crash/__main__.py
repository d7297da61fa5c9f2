"""``make crash``: kill the node's processes at every seam, count what was lost and what doubled.

``PYTHONPATH=.:tests python -m crash [--kills N] [--seed N] [--json]``
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crash.matrix import Matrix
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix; 0 where nothing was lost and nothing came twice."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("crash: told to stop"))
    bar = Progress(
        TextColumn("kills"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True),
    )  # fmt: skip
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crash-", ignore_cleanup_errors=True) as folder, bar:
        task = bar.add_task("", total=given.kills)
        matrix = Matrix(
            folder=Path(folder), seed=given.seed, progress=lambda n: bar.update(task, completed=n)
        )
        verdict = matrix.run(given.kills)
    told = {
        "good": verdict.good,
        "seed": given.seed,
        "seconds": round(time.monotonic() - began),
        "kills": matrix.kills.total(),
        "not_passed": matrix.not_passed,
        "films_sent_again": matrix.again,
        **asdict(verdict),
        "by": [
            {"process": process, "point": point, "kills": count}
            for (process, point), count in sorted(matrix.kills.items())
        ],
    }
    if given.json:
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        _show(told)
    return 0 if verdict.good else 1


def _show(told: dict[str, Any]) -> None:
    table = Table("process", "point", "kills")
    for row in told["by"]:
        table.add_row(row["process"], row["point"], str(row["kills"]))
    console = Console()
    console.print(table)
    for name, value in told.items():
        if name != "by":
            console.print(f"{name.replace('_', ' '):20} {value}", highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crash", description="Kill the node at every seam.")
    parser.add_argument("--kills", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="which order of them")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
