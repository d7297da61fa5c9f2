"""The counts `dicom-node status` shows, by plain SQL: importing SQLAlchemy takes longer.

Read-only: looking never creates a database nor waits for a writer.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, TypedDict

from dicom_node.errors import NodeError

DATABASE = "node.db"


class Breaker(TypedDict):
    """A destination that did not answer of late; left alone where it is open."""

    open: bool
    failures: int  # in a row
    since: str | None  # ISO 8601, where open
    next_probe: str | None  # ISO 8601, where open
    reason: str


class Status(TypedDict):
    """How much of everything there is, JSON-ready."""

    instances: dict[str, int]  # decision -> how many
    studies: int
    jobs: dict[str, int]  # status -> how many
    deliveries: dict[str, dict[str, int]]  # destination -> status -> how many
    breakers: dict[str, Breaker]  # destination -> failed connections in a row; none: it answers
    oldest_waiting: str | None  # ISO 8601: since when the oldest job or delivery is due
    audit_lines: int
    audit_told: int  # up to this line, to the audit repository where there is one
    audit_untold_since: str | None  # ISO 8601: time of the oldest line that was not told


def read_status(data_dir: Path) -> Status:
    """Count; raises NodeError where there is no database, or none of ours."""
    path = data_dir / DATABASE
    if not path.exists():
        raise NodeError(f"no node has run over {data_dir} yet")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            return _count(connection)
    except sqlite3.Error as error:
        raise NodeError(f"{path}: {error}") from error


def _count(connection: sqlite3.Connection) -> Status:
    deliveries: dict[str, dict[str, int]] = {}
    by_destination = "SELECT destination, status, count(*) FROM deliveries GROUP BY 1, 2"
    for destination, status, count in connection.execute(by_destination):
        deliveries.setdefault(destination, {})[status] = count
    told = _told(connection)
    return Status(
        instances=dict(
            connection.execute("SELECT decision, count(*) FROM instances GROUP BY 1").fetchall()
        ),
        studies=_one(connection, "SELECT count(*) FROM studies"),
        jobs=dict(connection.execute("SELECT status, count(*) FROM jobs GROUP BY 1").fetchall()),
        deliveries=deliveries,
        breakers=_breakers(connection),
        oldest_waiting=_one(
            connection,
            "SELECT min(due_at) FROM (SELECT due_at FROM jobs WHERE status = 'waiting' "
            "UNION ALL SELECT due_at FROM deliveries WHERE status IN ('pending', 'sent'))",
        ),
        audit_lines=_one(connection, "SELECT coalesce(max(sequence), 0) FROM audit"),
        audit_told=told,
        audit_untold_since=_one(
            connection,
            "SELECT at FROM audit WHERE sequence > ? ORDER BY sequence LIMIT 1",
            told,
        ),
    )


def _told(connection: sqlite3.Connection) -> int:
    # A database that no node of this version has opened yet does not have the table.
    if not _has(connection, "trail_positions"):
        return 0
    query = "SELECT coalesce(max(sequence), 0) FROM trail_positions WHERE name = 'repository'"
    told: int = _one(connection, query)
    return told


def _has(connection: sqlite3.Connection, table: str) -> bool:
    query = "SELECT count(*) FROM sqlite_master WHERE name = ?"
    return bool(connection.execute(query, (table,)).fetchone()[0])


def _breakers(connection: sqlite3.Connection) -> dict[str, Breaker]:
    if not _has(connection, "breakers"):  # as above
        return {}
    query = "SELECT destination, failures, opened_at, probe_at, last_reason FROM breakers"
    return {
        destination: Breaker(
            open=since is not None,
            failures=failures,
            since=since,
            next_probe=next_probe,
            reason=reason,
        )
        for destination, failures, since, next_probe, reason in connection.execute(query)
    }


def _one(connection: sqlite3.Connection, query: str, *values: int) -> Any:
    """The first value of the first row; None where there is no row."""
    return (connection.execute(query, values).fetchone() or (None,))[0]
