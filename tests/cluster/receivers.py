"""How much more two receivers of a cluster take than one, and what holds them up.

    PYTHONPATH=.:tests python -m cluster.receivers [--cores SHARE]

Films of 10 MB from four senders, all to one receiver and shared by two, in turn. Each film is
synced to disk and its row committed to PostgreSQL before Success. `--cores` gives each receiver
this share of a core and no more (root, control groups), as if it had a machine of its own: without
it receivers, senders and PostgreSQL share the cores of this one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import receivers
from bench.inference import picture
from bench.machine import durable_megabytes_per_second, syncs_per_second
from bench.receivers import Receiver
from bench.sender import Film, send_all
from support.film import film
from support.postgres import postgres

_ROUNDS = 5
_SENDERS, _EACH = 4, 3
_TICKS = os.sysconf("SC_CLK_TCK")  # a second of processor time
_GROUPS = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")  # of version 1, of version 2
_PERIOD = 10_000  # microseconds


def main() -> int:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=float, metavar="SHARE")
    cores: float | None = parser.parse_args().cores
    what = Film(film(picture()))
    with ExitStack() as opened:
        scratch = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="receivers-")))
        server = opened.enter_context(postgres("fsync=on"))
        url = server.url(server.create())
        both = [
            opened.enter_context(receivers.member(scratch, name, url)) for name in ("one", "two")
        ]
        if cores is not None:
            for receiver in both:
                opened.enter_context(_confined(receiver.pid, cores))
        spent = {1: [0.0] * 0, 2: [0.0] * 0}
        processor = {1: [0.0] * 0, 2: [0.0] * 0}
        for _ in range(_ROUNDS):
            for number, seconds in spent.items():
                os.sync()
                before = _processor_seconds(both)
                ports = [each.port for each in both[:number]]
                called = both[0].ae_title
                seconds.append(send_all(ports, called, what, senders=_SENDERS, each=_EACH))
                processor[number].append(_processor_seconds(both) - before)
        disk = {
            "MB/s, a sync each film": round(durable_megabytes_per_second(scratch)),
            "page syncs/s": round(syncs_per_second(scratch)),
        }
    films = _SENDERS * _EACH
    found: dict[str, Any] = {
        f"{number} receiver{'s' * (number > 1)}": {
            "films/s": round(films / statistics.median(seconds), 2),
            "processor seconds a film": round(statistics.median(processor[number]) / films, 3),
        }
        for number, seconds in spent.items()
    }
    pairs = zip(spent[1], spent[2], strict=True)
    found["median of the paired ratios"] = round(statistics.median(a / b for a, b in pairs), 2)
    found["cores"], found["load"], found["disk"] = os.cpu_count(), os.getloadavg()[0], disk
    found["cores of each receiver"] = cores
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


@contextmanager
def _confined(pid: int, cores: float) -> Iterator[None]:
    """Give a process this share of a core, in a control group of its own."""
    root = next(each for each in _GROUPS if (each / "cgroup.procs").exists())
    group, quota = root / f"receiver-{pid}", round(cores * _PERIOD)
    group.mkdir()
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{quota} {_PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        (group / "cgroup.procs").write_text(str(pid))
        yield
        (root / "cgroup.procs").write_text(str(pid))
    finally:
        group.rmdir()


def _processor_seconds(running: list[Receiver]) -> float:
    fields = [Path(f"/proc/{each.pid}/stat").read_text().rpartition(")")[2] for each in running]
    return sum(sum(map(int, each.split()[11:13])) for each in fields) / _TICKS


if __name__ == "__main__":
    sys.exit(main())
