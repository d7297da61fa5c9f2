"""What workers and rows cost on PostgreSQL: readings a minute by workers, a claim by rows.

    PYTHONPATH=.:tests python -m cluster.scaling

The networks only sleep: what is measured is how workers share one database. Each is a thread with
a store of its own.
"""

from __future__ import annotations

import json
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

from dicom_node.store.store import open_store

_NETWORK_SECONDS = 1.0
_EACH = 8  # readings of each worker
_WORKERS = (1, 2, 4, 8)
_ROWS = (1_000, 1_000_000)
_WAITING = 40


def main() -> int:
    """Measure, and print JSON."""
    with tempfile.TemporaryDirectory(prefix="scaling-") as folder, postgres("fsync=on") as server:
        found = {
            "readings_a_minute": {n: _readings(server, Path(folder), n) for n in _WORKERS},
            "milliseconds_a_claim": {n: _claims(server, Path(folder), n) for n in _ROWS},
        }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


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


def _claims(server: Postgres, folder: Path, rows: int) -> dict[str, Any]:
    """The median time of a claim beside so many studies that were read."""
    url = server.url(server.create())
    node = _node(folder, url)
    for statement in _PAST:
        node.sql(statement, rows=rows, day=_DAY)
    _wait(node, _WAITING)
    node.sql("ANALYZE")
    took = []
    for number in range(_WAITING):
        began = time.perf_counter()
        assert node.store.jobs.claim(f"worker-{number}", node.clock.after(600))
        took.append(1000 * (time.perf_counter() - began))
    node.store.close()
    return {"median": round(statistics.median(took), 2), "longest": round(max(took), 2)}


def _node(folder: Path, url: str) -> StoreHarness:
    clock = FakeClock(datetime.now(UTC) + timedelta(hours=1))
    return StoreHarness(open_store(folder, clock, url), clock, url)


def _wait(node: StoreHarness, studies: int) -> None:
    """Have so many studies wait to be read."""
    for number in range(studies):
        node.receive(f"1.2.{number}")
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
