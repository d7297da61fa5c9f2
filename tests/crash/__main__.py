"""``make crash``: kill the node's processes at every seam, count what was lost and what doubled.

``PYTHONPATH=.:tests python -m crash [--kills N] [--nodes N] [--store postgresql] [--minutes N]
[--seed N] [--json]``
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crash.cluster import ClusterMatrix
from crash.matrix import Matrix
from crash.verdict import Verdict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix; 0 where nothing was lost and nothing came twice."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("crash: stopped"))
    bar = Progress(
        TextColumn("kills"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True),
    )  # fmt: skip
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crash-", ignore_cleanup_errors=True) as folder, bar:
        task = bar.add_task("", total=given.kills)
        kind = Matrix if given.store == "sqlite" else ClusterMatrix
        matrices = [
            kind(
                Path(folder) / str(number),
                given.seed + number,
                lambda: bar.advance(task),
                began + 60.0 * given.minutes,
            )
            for number in range(given.nodes)
        ]
        each = -(-given.kills // given.nodes)
        with ThreadPoolExecutor(given.nodes) as pool:
            verdicts = list(pool.map(lambda matrix: matrix.run(each), matrices))
    figures = {
        "good": all(verdict.good for verdict in verdicts),
        "seconds": round(time.monotonic() - began),
        "store": given.store,
        "nodes": given.nodes,
        "seed": given.seed,
        "kills": sum(matrix.kills.total() for matrix in matrices),
        "not_passed": sum(matrix.not_passed for matrix in matrices),
        "films_sent_again": sum(matrix.again for matrix in matrices),
        **_together(verdicts),
        "by": [
            {"process": process, "point": point, "kills": count}
            for (process, point), count in sorted(
                sum((matrix.kills for matrix in matrices), Counter()).items()
            )
        ],
    }
    if given.json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    else:
        _show(figures)
    return 0 if figures["good"] else 1


def _together(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The counts of all nodes; what all verified."""
    columns = {name: [asdict(each)[name] for each in verdicts] for name in asdict(verdicts[0])}
    return {
        name: all(values)
        if isinstance(values[0], bool)
        else sum(values, ())
        if isinstance(values[0], tuple)
        else sum(values)
        for name, values in columns.items()
    }


def _show(figures: dict[str, Any]) -> None:
    table = Table("process", "point", "kills")
    for row in figures["by"]:
        table.add_row(row["process"], row["point"], str(row["kills"]))
    console = Console()
    console.print(table)
    for name, value in figures.items():
        if name != "by":
            console.print(f"{name.replace('_', ' '):20} {value}", highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crash", description="Kill the node at every seam.")
    parser.add_argument("--kills", type=int, default=200, help="how many")
    parser.add_argument("--nodes", type=int, default=1, help="how many nodes share the kills")
    parser.add_argument(
        "--store", choices=["sqlite", "postgresql"], default="sqlite",
        help="postgresql: each node is a cluster of three members, the database dies, too",
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, default=60.0, help="kill no longer than this")
    parser.add_argument("--seed", type=int, default=1, help="which order of them")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
