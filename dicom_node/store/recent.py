"""Problems of reception in the last day and drift, for alarms; by plain SQL, as `status`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

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
    "engine-failed": ("engine-failed", "%"),
}
_HOURS = 24
_MOST = 1000  # lines counted of each problem


class Drift(NamedTuple):
    """A measure of a sender's films that differs from the reference."""

    sender: str
    measure: str
    shift: float  # population stability index
    begun_at: str  # ISO 8601


def drift(data_dir: Path, url: str = SQLITE) -> list[Drift]:
    """What differs from the reference, as it was last compared.

    Raises
    ------
    NodeError
        The database cannot be read.
    """
    if not exists(data_dir, url):
        return []
    query = "SELECT sender, measure, stability_index, begun_at FROM drift_alarms ORDER BY 1, 2"
    with plain_reading(data_dir, url) as connection:
        if not connection.has("drift_alarms"):  # an older version has not made it yet
            return []
        return [Drift(*row) for row in connection.execute(query)]


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
