"""Problems of reception in the audit log of the last day, for alarms; by plain SQL, as `status`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dicom_node.errors import NodeError
from dicom_node.store.status import DATABASE

if TYPE_CHECKING:
    from pathlib import Path

# Name -> kind of audit event, part of its detail
PROBLEMS = {
    "instance-differs": ("instance-differs", "%"),
    "patient-mismatch": ("instance-refused", '%"fault":"patient-mismatch"%'),
    "connections-cut": ("connections-cut", "%"),
    "locked-out": ("association-rejected", '%"reason":"locked-out"%'),
    "quota-exceeded": ("quota-exceeded", "%"),
}
_HOURS = 24
_MOST = 1000  # lines counted of each problem


def recent_problems(data_dir: Path, now: datetime) -> dict[str, int]:
    """Count the events of each problem of the last day, up to 1000; zeros are left out.

    Raises
    ------
    NodeError
        The database cannot be read.
    """
    since = (now - timedelta(hours=_HOURS)).astimezone(UTC).isoformat(timespec="microseconds")
    query = (
        "SELECT count(*) FROM (SELECT 1 FROM audit WHERE kind = ? AND at >= ? AND detail LIKE ? "
        "LIMIT ?)"
    )
    path = data_dir / DATABASE
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            found = {
                name: int(connection.execute(query, (kind, since, detail, _MOST)).fetchone()[0])
                for name, (kind, detail) in PROBLEMS.items()
            }
    except sqlite3.Error as error:
        raise NodeError(f"{path}: {error}") from error
    return {name: count for name, count in found.items() if count}
