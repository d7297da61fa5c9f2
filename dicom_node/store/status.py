"""The counts of `dicom-node status`, by plain SQL because importing SQLAlchemy takes longer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from dicom_node.errors import NodeError
from dicom_node.store.plain import SQLITE, Plain, exists, plain_reading

#: A machine whose heartbeat is older is taken for dead.
SILENT_SECONDS = 30


class Breaker(TypedDict):
    """A destination whose last connections failed; nothing is sent to it while ``open``."""

    open: bool
    failures: int  # in a row
    since: str | None  # ISO 8601, where open
    next_probe: str | None  # ISO 8601, where open
    reason: str


class Member(TypedDict):
    """A process of a machine that shares the database."""

    member: str
    process: str
    roles: str  # such as "deliverer,scheduler"
    host: str
    pid: int
    version: str
    seen_at: str  # ISO 8601: its last heartbeat


class Status(TypedDict):
    """Counts of studies, films, jobs, deliveries and audit lines, in JSON values."""

    instances: dict[str, int]  # decision -> how many
    studies: int
    jobs: dict[str, int]  # status -> how many
    deliveries: dict[str, dict[str, int]]  # destination -> status -> how many
    breakers: dict[str, Breaker]  # destination -> failures; absent if it answers
    oldest_waiting: str | None  # ISO 8601: when the oldest film, job or delivery began to wait
    oldest_undecided: str | None  # ISO 8601: when the oldest film arrived that is not read yet
    oldest_undelivered: str | None  # ISO 8601: when the oldest result was made that waits
    started_at: str | None  # ISO 8601: when a node last started over the folder
    audit_lines: int
    audit_sent: int  # the last line that the audit repository has
    audit_unsent_since: str | None  # ISO 8601: time of the oldest line that it does not have
    members: list[Member]  # empty if the database is one machine's


def is_new(data_dir: Path, url: str = SQLITE) -> bool:
    """Whether no node has made its tables yet; raises NodeError if a server does not answer."""
    if not exists(data_dir, url):
        return True
    if url == SQLITE:
        return False
    with plain_reading(data_dir, url) as connection:
        return not connection.has("audit")


def read_status(data_dir: Path, url: str = SQLITE) -> Status:
    """Count; raises NodeError if there is no database, or none of this node's."""
    with plain_reading(data_dir, url) as connection:
        if url != SQLITE and not connection.has("audit"):
            raise NodeError("no node has used the database at store.url yet")
        return _count(connection)


def promoted_folder(data_dir: Path, url: str = SQLITE) -> str | None:
    """The folder of the promoted networks below the data folder; None: the configured ones.

    Raises
    ------
    NodeError
        There is no database, or none of this node's.
    """
    query = "SELECT folder FROM promotions WHERE ended_at IS NULL ORDER BY id DESC LIMIT 1"
    with plain_reading(data_dir, url) as connection:
        folder: str | None = _one(connection, query) if connection.has("promotions") else None
    return folder


def _count(connection: Plain) -> Status:
    deliveries: dict[str, dict[str, int]] = {}
    by_destination = "SELECT destination, status, count(*) FROM deliveries GROUP BY 1, 2"
    for destination, status, count in connection.execute(by_destination):
        deliveries.setdefault(destination, {})[status] = count
    sent = _last_sent(connection)
    return Status(
        instances=dict(connection.execute("SELECT decision, count(*) FROM instances GROUP BY 1")),
        studies=_one(connection, "SELECT count(*) FROM studies"),
        jobs=dict(connection.execute("SELECT status, count(*) FROM jobs GROUP BY 1")),
        deliveries=deliveries,
        breakers=_breakers(connection),
        oldest_waiting=_one(
            connection,
            "SELECT min(due_at) FROM (SELECT due_at FROM jobs WHERE status = 'waiting' "
            "UNION ALL SELECT due_at FROM deliveries WHERE status IN ('pending', 'sent') "
            "UNION ALL SELECT received_at FROM instances "
            "WHERE decision = 'undecided' AND job_id IS NULL) AS waiting",
        ),
        oldest_undecided=_one(
            connection,
            "SELECT min(received_at) FROM instances LEFT JOIN jobs ON jobs.id = job_id "
            "WHERE decision = 'undecided' AND (job_id IS NULL OR jobs.status != 'parked')",
        ),
        oldest_undelivered=_one(
            connection,
            "SELECT min(composed_at) FROM results JOIN deliveries USING (sop_instance_uid) "
            "WHERE status IN ('pending', 'sending', 'sent')",
        ),
        started_at=_one(connection, "SELECT max(at) FROM audit WHERE kind = 'node-started'"),
        audit_lines=_one(connection, "SELECT coalesce(max(sequence), 0) FROM audit"),
        audit_sent=sent,
        audit_unsent_since=_one(
            connection,
            "SELECT at FROM audit WHERE sequence > ? ORDER BY sequence LIMIT 1",
            sent,
        ),
        members=_members(connection),
    )


def _last_sent(connection: Plain) -> int:
    # A database that this version has not opened yet lacks the table.
    if not connection.has("trail_positions"):
        return 0
    query = "SELECT coalesce(max(sequence), 0) FROM trail_positions WHERE name = 'repository'"
    sent: int = _one(connection, query)
    return sent


def _breakers(connection: Plain) -> dict[str, Breaker]:
    if not connection.has("breakers"):  # as above
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


def _members(connection: Plain) -> list[Member]:
    if not connection.has("members"):  # as above
        return []
    query = "SELECT member, process, roles, host, pid, version, seen_at FROM members ORDER BY 1, 2"
    return [
        Member(
            member=member, process=process, roles=roles, host=host, pid=pid, version=version,
            seen_at=seen_at,
        )
        for member, process, roles, host, pid, version, seen_at in connection.execute(query)
    ]  # fmt: skip


def _one(connection: Plain, query: str, *values: int) -> Any:
    """The first value of the first row, or None if there is no row."""
    return (*connection.execute(query, values), (None,))[0][0]
