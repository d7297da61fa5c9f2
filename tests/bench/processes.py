"""Start-up time and memory of the node's processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.inference import picture
from bench.machine import megabytes, peak_megabytes
from bench.rows import Row
from bench.run import Run
from bench.weights import models_dir
from support.film import film, write
from support.peer import Peer, destination
from support.running import COMMAND, RunningNode, running_node

_TARGETS = {"receiver-1": "≤ 120 MB", "worker-1": "≤ 1300 MB"}


# The peak memory of a process includes that of the one that forked it, so a small one forks.
_WATCH = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - began, usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True, slots=True)
class _Cost:
    seconds: float
    megabytes: float  # largest resident set


def of_a_node(run: Run) -> Iterator[Row]:
    """Measure a node from its start to its first delivered film."""
    (folder := run.scratch / "node").mkdir()
    began = time.perf_counter()
    with (
        Peer(run.scratch / "pacs") as pacs,
        running_node(folder, [destination(pacs.port)], models={"dir": str(models_dir())}) as node,
    ):
        listening = time.perf_counter() - began
        node.wait_until(lambda: "networks warm" in node.log(), seconds=180)
        warm = time.perf_counter() - began
        yield Row(name="node: start to first C-ECHO answered", measured=f"{listening:.1f} s")
        yield Row(name="node: start to networks warm", measured=f"{warm:.1f} s")
        yield _status(node, run.repeat)
        pids = node.pids()
        idle = {name: megabytes(pid) for name, pid in pids.items()}
        source = write(film(picture(), kind="dx"), run.scratch / "film.dcm")
        node.send([source])
        node.wait_until(lambda: _delivered(node), seconds=180)
        for name, pid in pids.items():
            yield Row(
                name=f"memory: {name.removesuffix('-1')}",
                target=_TARGETS.get(name),
                measured=f"{idle[name]:.0f} MB idle, {peak_megabytes(pid):.0f} MB peak with a film",
            )


def _delivered(node: RunningNode) -> bool:
    deliveries = node.cli("status", "--json")["deliveries"].get("pacs", {})
    return bool(deliveries) and set(deliveries) <= {"accepted", "committed"}


def _status(node: RunningNode, repeat: int) -> Row:
    costs = [_cost([str(COMMAND), "status", "--config", str(node.config)]) for _ in range(repeat)]
    spent = statistics.median(cost.seconds for cost in costs)
    return Row(
        name="dicom-node status",
        target="≤ 0.5 s, ≤ 60 MB",
        measured=f"{spent:.2f} s, {max(cost.megabytes for cost in costs):.0f} MB",
    )


def _cost(command: list[str]) -> _Cost:
    watched = subprocess.run(
        [sys.executable, "-c", _WATCH, *command], check=True, capture_output=True, text=True
    )
    seconds, kilobytes = watched.stderr.split()[-2:]
    return _Cost(float(seconds), int(kilobytes) / 1024)
