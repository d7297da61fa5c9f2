"""What grows with the number of stored studies: `status`, insertion, opening and claiming."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from bench.rows import Row
from bench.run import Run
from support.running import COMMAND

from dicom_node.domain.values import Instance
from dicom_node.store.store import Store, open_store

FEW, MANY = 1_000, 100_000  # studies
_TIMES = 60  # insertions, openings and claims
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_NOW = _BEGAN + 400 * _DAY  # a study every five minutes leaves the newest two months to come
_STUDIES = """
CREATE TEMP TABLE study AS
WITH RECURSIVE each(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM each WHERE n + 1 < :count)
SELECT
    n, '1.2.826.0.1.3680043.10.9.' || n AS uid,
    strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', :began, '+' || (n * 5) || ' minutes') AS at
FROM each
"""


def by_size(run: Run) -> Iterator[Row]:
    """The same work over a database of many studies and one of few."""
    few, many = (_measured(run.scratch / str(count), count) for count in (FEW, MANY))
    for name in few:
        yield Row(
            name=f"{name}: {MANY:,} studies / {FEW:,}",
            ratio=many[name] / few[name],
            target="≤ 1.2" if name == "dicom-node status" else "≤ 1.1",
            measured=f"{1000 * many[name]:.1f} / {1000 * few[name]:.1f} ms",
        )


def _measured(folder: Path, count: int) -> dict[str, float]:
    """What was done -> the median of its seconds."""
    folder.mkdir()
    store = open_store(folder / "data", lambda: _NOW)
    with closing(sqlite3.connect(folder / "data" / "node.db")) as connection, connection:
        _fill(connection, count)
    with closing(sqlite3.connect(folder / "data" / "node.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"node": {"data_dir": str(folder / "data")}}))
    command = [str(COMMAND), "status", "--config", str(config)]
    try:
        return {
            "dicom-node status": _median(
                lambda: subprocess.run(command, check=False, capture_output=True), 7
            ),
            **_work(store, count),
        }
    finally:
        store.close()


def _work(store: Store, count: int) -> dict[str, float]:
    new = iter(range(count, count + _TIMES + 1))
    return {
        "a film inserted": _median(lambda: store.inbox.add(_film(next(new))), _TIMES),
        "studies opened": _median(lambda: store.jobs.open_ready(_NOW - _DAY), 1),
        "a job claimed": _median(lambda: store.jobs.claim("bench", _NOW + _DAY), _TIMES // 2),
    }


def _film(number: int) -> Instance:
    uid = f"1.2.826.0.1.3680043.10.9.{number}"
    return Instance(
        sop_instance_uid=f"{uid}.1.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
        study_instance_uid=uid,
        series_instance_uid=f"{uid}.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=Path("spool/instances") / f"{number:064x}.dcm",
        size=10_240_000,
        sha256=f"{number:064x}",
        calling_ae_title=f"CR{number % 7}",
        received_at=_NOW - 2 * _DAY,
    )


def _median(action: Callable[[], object], times: int) -> float:
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


def _fill(connection: sqlite3.Connection, count: int) -> None:
    """Make studies that were read and delivered, one film each."""
    connection.execute(_STUDIES, {"count": count, "began": _BEGAN.isoformat()})
    connection.executescript(Path(__file__).with_suffix(".sql").read_text())
