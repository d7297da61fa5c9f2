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


class Status(TypedDict):
    """How much of everything there is, JSON-ready."""

    instances: dict[str, int]  # decision -> how many
    studies: int
    jobs: dict[str, int]  # status -> how many
    deliveries: dict[str, dict[str, int]]  # destination -> status -> how many
    oldest_waiting: str | None  # ISO 8601: since when the oldest job or delivery is due
    audit_lines: int


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
    return Status(
        instances=dict(
            connection.execute("SELECT decision, count(*) FROM instances GROUP BY 1").fetchall()
        ),
        studies=_one(connection, "SELECT count(*) FROM studies"),
        jobs=dict(connection.execute("SELECT status, count(*) FROM jobs GROUP BY 1").fetchall()),
        deliveries=deliveries,
        oldest_waiting=_one(
            connection,
            "SELECT min(due_at) FROM (SELECT due_at FROM jobs WHERE status = 'waiting' "
            "UNION ALL SELECT due_at FROM deliveries WHERE status = 'pending')",
        ),
        audit_lines=_one(connection, "SELECT coalesce(max(sequence), 0) FROM audit"),
    )


def _one(connection: sqlite3.Connection, query: str) -> Any:
    return connection.execute(query).fetchone()[0]
