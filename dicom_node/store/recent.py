"""Problems of reception in the audit log of the last day, for alarms; by plain SQL, as `status`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dicom_node.store.plain import SQLITE, exists, plain_reading

if TYPE_CHECKING:
    from pathlib import Path

# Name -> kind of audit event, part of its detail
PROBLEMS = {
    "instance-differs": ("instance-differs", "%"),
    "patient-mismatch": ("instance-refused", '%"fault":"patient-mismatch"%'),
    "connections-cut": ("connections-cut", "%"),
    "locked-out": ("association-rejected", '%"reason":"locked-out"%'),
    "quota-exceeded": ("quota-exceeded", "%"),
    "shadow-failed": ("shadow-failed", "%"),
}
_HOURS = 24
_MOST = 1000  # lines counted of each problem


def recent_problems(data_dir: Path, now: datetime, url: str = SQLITE) -> dict[str, int]:
    """Count the events of each problem of the last day, up to 1000; zeros are left out.

    Raises
    ------
    NodeError
        The database cannot be read.
    """
    since = (now - timedelta(hours=_HOURS)).astimezone(UTC).isoformat(timespec="microseconds")
    query = (
        "SELECT count(*) FROM (SELECT 1 FROM audit WHERE kind = ? AND at >= ? AND detail LIKE ? "
        "LIMIT ?) AS found"
    )
    if not exists(data_dir, url):
        return {}
    with plain_reading(data_dir, url) as connection:
        found = {
            name: int(connection.execute(query, (kind, since, detail, _MOST))[0][0])
            for name, (kind, detail) in PROBLEMS.items()
        }
    return {name: count for name, count in found.items() if count}
