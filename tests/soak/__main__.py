"""``make soak``: an hour of mixed load with faults against a node as installed.

``PYTHONPATH=.:tests python -m soak [--minutes 60] [--out DIR] [--json]``

Exit status 1 where a film was lost, a result came twice, or a process grew.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.machine import describe
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from soak.faults import Faults
from soak.load import Node, callers, unreported
from soak.pacs import Ledger, LedgerPacs
from soak.report import Report, plot
from soak.samples import Disk, Sample, append, disk, sample, trends
from support.peer import destination
from support.running import RunningNode, running_node

_SAMPLE_SECONDS = 10.0
_SETTLE_SECONDS = 900.0  # longest wait at the end for unfinished work
_SECTIONS: dict[str, Any] = {
    "study": {"quiet_seconds": 2.0},
    "delivery": {"first_retry_seconds": 0.5, "max_retry_seconds": 5.0},
    "workers": {"count": 2, "threads": 1},
    "retention": {"days": 8 / (24 * 60)},
    "spool": {"min_free_mb": 256},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak and print its summary."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("soak: terminated"))
    given.out.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="soak-", dir=given.out) as folder:
        report = _soak(Path(folder), given.minutes, samples, given.out)
    (given.out / "soak.json").write_text(json.dumps(report.as_json(), indent=2) + "\n")
    plot(samples, report.disks, given.out / "soak.png")
    if given.json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")
    else:
        report.show(Console())
    return 1 if report.complaints else 0


def _soak(folder: Path, minutes: float, samples: list[Sample], out: Path) -> Report:
    (folder / "node").mkdir()
    ledger = Ledger()
    disks: list[Disk] = []
    with (
        LedgerPacs(ledger, folder / "pacs") as pacs,
        running_node(folder / "node", [destination(pacs.port)], **_SECTIONS) as running,
    ):
        node = Node(port=running.port, ledger=ledger, pacs=pacs)
        faults = Faults(node=node, data_dir=running.data_dir, seconds=60 * minutes)
        running.wait_until(lambda: "networks warm" in running.log(), seconds=300)
        work = {**callers(node), "FAULTS": faults.run}
        threads = [threading.Thread(target=each, name=name) for name, each in work.items()]
        for thread in threads:
            thread.start()
        try:
            _watch(running, ledger, minutes, samples, disks, out)
        finally:
            node.stop.set()
            for thread in threads:
                thread.join()
        unsettled = _settle(running, node)
        (out / "node.log").write_text(running.log())
    return Report(
        minutes=minutes,
        machine=describe(out),
        commit=_commit(),
        counts=ledger.counts(),
        did=dict(node.did),
        seconds={
            "C-STORE answered": node.store_seconds,
            "C-ECHO answered, with its association": node.echo_seconds,
            "film answered to its report at the PACS": ledger.waits(),
        },
        trends=trends(samples),
        disks=disks,
        lost=ledger.lost(),
        twice=ledger.twice(),
        unsettled=unsettled,
    )


def _watch(
    running: RunningNode,
    ledger: Ledger,
    minutes: float,
    samples: list[Sample],
    disks: list[Disk],
    out: Path,
) -> None:
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("soak", total=60 * minutes)
        while (passed := time.monotonic() - began) < 60 * minutes:
            samples += (now := sample(running.data_dir, began))
            append(out / "samples.csv", now)
            disks.append(disk(running.data_dir, began))
            counts = ledger.counts()
            words = (
                f"{counts['films answered Success']} films, {counts['reports at the PACS']} reports"
            )
            progress.update(bar, completed=passed, description=words)
            time.sleep(_SAMPLE_SECONDS)


def _settle(running: RunningNode, node: Node) -> dict[str, Any]:
    """Wait until all work is finished; return what is not."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while (rest := _under_way(running, node)) or node.ledger.outstanding():
        if time.monotonic() > deadline:
            return rest
        time.sleep(2.0)
    verified = running.run("audit", "verify")
    return {"audit verify": verified.stdout} if verified.returncode else {}


def _under_way(running: RunningNode, node: Node) -> dict[str, Any]:
    status = running.cli("status", "--json")
    left = {
        "commitment reports": len(unreported(node)),
        "undecided": status["instances"].get("undecided", 0),
        **{f"jobs {name}": n for name, n in status["jobs"].items() if name != "done"},
        **{
            f"deliveries {name}": n
            for name, n in status["deliveries"].get("pacs", {}).items()
            if name not in ("accepted", "committed")
        },
    }
    return {name: count for name, count in left.items() if count}


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="soak", description="Load and faults, for a long time.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=Path("runs/soak"), help="figures and picture")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


if __name__ == "__main__":
    sys.exit(main())
