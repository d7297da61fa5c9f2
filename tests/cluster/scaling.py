"""What workers and rows cost on PostgreSQL: readings a minute by workers, a claim by rows.

Also how many transactions a second the database takes, and how long a study waits until an idle
worker of another machine has it.

    PYTHONPATH=.:tests python -m cluster.scaling

The networks only sleep: what is measured is how workers share one database. Each is a thread with
a store of its own.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.fakes import FakeClock, StoreHarness, full, read
from support.postgres import Postgres, postgres

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.service.wake import Bell, Bells
from dicom_node.service.worker import POLL_SECONDS
from dicom_node.store.store import open_store

_NETWORK_SECONDS = 1.0
_WRITERS, _WRITING_SECONDS = (1, 2, 4), 5.0
_STUDIES = 40
_EACH = 8  # readings of each worker
_WORKERS = (1, 2, 4, 8)
_ROWS = (1_000, 1_000_000)
_WAITING = 40
_ROUNDS = 5


def main() -> int:
    """Measure, and print JSON."""
    with tempfile.TemporaryDirectory(prefix="scaling-") as folder, postgres("fsync=on") as server:
        found = {
            "load": os.getloadavg()[0],
            "transactions_a_second": {n: _writes(server, Path(folder), n) for n in _WRITERS},
            "milliseconds_until_claimed": _latency(server, Path(folder)),
            "readings_a_minute": {n: _readings(server, Path(folder), n) for n in _WORKERS},
            "milliseconds_a_claim": _claims(server, Path(folder)),
        }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


def _writes(server: Postgres, folder: Path, writers: int) -> float:
    """Durable transactions a second, each with a line of the audit log, of so many writers."""
    url = server.url(server.create())
    nodes = [_node(folder, url) for _ in range(writers)]
    event = AuditEvent(kind=AuditKind.NODE_STARTED)
    until = time.monotonic() + _WRITING_SECONDS

    def write(node: StoreHarness) -> int:
        done = 0
        while time.monotonic() < until:
            node.store.audit.append(event)
            done += 1
        return done

    with ThreadPoolExecutor(writers) as pool:
        done = sum(pool.map(write, nodes))
    for node in nodes:
        node.store.close()
    return round(done / _WRITING_SECONDS, 1)


def _latency(server: Postgres, folder: Path) -> dict[str, float]:
    """From the commit of a study's job on one machine to its claim by a worker of another.

    In turn, the worker hears of it (as since NOTIFY), and only polls (as before).
    """
    url = server.url(server.create())
    maker, worker = _node(folder, url), _node(folder, url)
    heard, polled = Bells.of(folder, url).readings, Bells.of(folder).readings
    found: dict[str, list[float]] = {"heard": [], "polled": []}
    with ThreadPoolExecutor(1) as pool:
        for number in range(_STUDIES):
            for name, bell in (("heard", heard), ("polled", polled)):
                bell.wait(0)  # connects; takes what was announced before
                claimed = pool.submit(_await_claim, worker, bell)
                time.sleep(random.uniform(0.3, 0.6))
                maker.receive(f"1.{number}.{name}")
                assert maker.open_ready() == 1
                committed = time.perf_counter()
                found[name].append(1000 * (claimed.result() - committed))
    for node in (maker, worker):
        node.store.close()
    heard.close()
    return {name: round(statistics.median(each), 1) for name, each in found.items()}


def _await_claim(node: StoreHarness, bell: Bell) -> float:
    """Wait as a worker does; when it had the study."""
    while node.store.jobs.claim("worker-1", node.clock.after(600)) is None:
        bell.wait(POLL_SECONDS)
    return time.perf_counter()


def _readings(server: Postgres, folder: Path, workers: int) -> float:
    """Readings a minute of so many workers."""
    url = server.url(server.create())
    first = _node(folder, url)
    _wait(first, workers * _EACH)
    nodes = [_node(folder, url) for _ in range(workers)]
    began = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        done = sum(pool.map(_work, nodes, range(workers)))
    seconds = time.monotonic() - began
    for node in (first, *nodes):
        node.store.close()
    return round(60 * done / seconds, 1)


def _work(node: StoreHarness, number: int) -> int:
    """Read until nothing waits; how many studies."""
    done = 0
    while job := node.store.jobs.claim(f"worker-{number}", node.clock.after(600)):
        time.sleep(_NETWORK_SECONDS)
        outcomes = [read(film.sop_instance_uid) for film in job.instances]
        node.store.jobs.finish(job, outcomes, full("pacs"))
        done += 1
    return done


def _claims(server: Postgres, folder: Path) -> dict[str, Any]:
    """What a claim takes beside few and many studies that were read.

    The databases of one server take turns, so that whatever else the machine does slows both.
    """
    nodes = {rows: _filled(server, folder, rows) for rows in _ROWS}
    took: dict[int, list[float]] = {rows: [] for rows in _ROWS}
    for group in range(_ROUNDS):
        for node in nodes.values():
            _wait(node, _WAITING, group)
        server.ask("CHECKPOINT")
        for number in range(_WAITING):
            for rows, node in random.sample(list(nodes.items()), len(nodes)):
                began = time.perf_counter()
                assert node.store.jobs.claim(f"worker-{number}", node.clock.after(600))
                took[rows].append(1000 * (time.perf_counter() - began))
    for node in nodes.values():
        node.store.close()
    few, many = (took[rows] for rows in _ROWS)
    return {
        **{str(rows): round(statistics.median(each), 2) for rows, each in took.items()},
        "median of the paired ratios": round(
            statistics.median(b / a for a, b in zip(few, many, strict=True)), 3
        ),
        "claims of each": len(few),
    }


def _filled(server: Postgres, folder: Path, rows: int) -> StoreHarness:
    """A node that has read so many studies, its tables vacuumed as in a node that is in use."""
    node = _node(folder, server.url(server.create()))
    for statement in _PAST:
        node.sql(statement, rows=rows, day=_DAY)
    with node.store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as plain:
        plain.exec_driver_sql("VACUUM ANALYZE")
    return node


def _node(folder: Path, url: str) -> StoreHarness:
    clock = FakeClock(datetime.now(UTC) + timedelta(hours=1))
    return StoreHarness(open_store(folder, clock, url), clock, url)


def _wait(node: StoreHarness, studies: int, group: int = 0) -> None:
    """Have so many more studies wait to be read."""
    for number in range(studies):
        node.receive(f"1.2.{group}.{number}")
    assert node.open_ready() == studies


_DAY = "2026-01-02T03:04:05.000000+00:00"
_PAST = (
    "INSERT INTO studies (study_instance_uid, first_received_at, last_received_at, revision) "
    "SELECT '1.9.' || n, :day, :day, 1 FROM generate_series(1, :rows) AS n",
    "INSERT INTO jobs (study_instance_uid, revision, status, attempt, created_at, due_at) "
    "SELECT '1.9.' || n, 1, 'done', 1, :day, :day FROM generate_series(1, :rows) AS n",
    "INSERT INTO instances (sop_instance_uid, sop_class_uid, study_instance_uid, "
    "series_instance_uid, transfer_syntax_uid, path, size, sha256, calling_ae_title, received_at, "
    "decision) SELECT '1.9.' || n || '.1', '1.2', '1.9.' || n, '1.3', '1.2', 'spool/' || n, 1, "
    "'ab', 'MODALITY', :day, 'read' FROM generate_series(1, :rows) AS n",
)

if __name__ == "__main__":
    sys.exit(main())
