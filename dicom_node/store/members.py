"""Heartbeats of the machines that share a database: who is alive, where, with which processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Column, Integer, String, Table, Text, delete, insert, inspect, or_, select

from dicom_node.store.database import claiming, engine_for, reading
from dicom_node.store.migrations import HEAD
from dicom_node.store.schema import UtcTime, metadata
from dicom_node.store.status import SILENT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Engine

    from dicom_node.ports import Clock

_FORGOTTEN = timedelta(days=1)

members = Table(
    "members",
    metadata,
    Column("member", String(64), primary_key=True),
    Column("process", String(64), primary_key=True),  # such as "worker-1"
    Column("roles", String(64), nullable=False),  # joined by commas
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(32), nullable=False),  # of the node
    Column("schema", String(32), nullable=False),  # `HEAD` of that version
    Column("seen_at", UtcTime, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of a machine."""

    process: str
    roles: str
    pid: int


class MemberTable:
    """The heartbeats in the database. They change no state, so the audit log has none of them."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def beat(self, member: str, host: str, version: str, alive: Sequence[Process]) -> None:
        """Record that these processes of a machine are alive now, and no others of it."""
        now = self._clock()
        shared = {"member": member, "host": host, "version": version, "schema": HEAD}
        rows = [{**shared, **asdict(each), "seen_at": now} for each in alive]
        gone = or_(members.c.member == member, members.c.seen_at < now - _FORGOTTEN)
        with claiming(self._engine) as connection:
            connection.execute(delete(members).where(gone))
            if rows:
                connection.execute(insert(members), rows)


def older_members(data_dir: Path, url: str, now: datetime) -> list[str]:
    """The machines that are alive with a version of the node that knows an older schema.

    Raises
    ------
    NodeError
        The database cannot be read.
    """
    alive = members.c.seen_at > now - timedelta(seconds=SILENT_SECONDS)
    query = select(members.c.member).where(alive, members.c.schema < HEAD).distinct()
    engine = engine_for(data_dir, url)
    try:
        with reading(engine) as connection:
            if not inspect(connection).has_table(members.name):
                return []
            return sorted(connection.execute(query).scalars())
    finally:
        engine.dispose()
