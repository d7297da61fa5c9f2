"""Leases: one process at a time works on a row, and only it may write what came of the work.

Four tables hand out work: readings, deliveries, commitment queries (the accepted deliveries) and
commitment requests. Each has the columns ``owner``, ``lease`` and ``lease_until``. The lease is a
random fencing token: a write that shows an old one changes nothing and raises LeaseLost.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select, true, update

from dicom_node.domain.states import DeliveryStatus, JobStatus
from dicom_node.errors import LeaseLost
from dicom_node.store import schema
from dicom_node.store.database import finds, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select, Table

#: The columns of a lease that was given back.
FREE: dict[str, Any] = {"owner": None, "lease": None, "lease_until": None}

# Statuses of a peer's commitment request.
PENDING, REPORTING, REPORTED, GIVEN_UP = "pending", "reporting", "reported", "given-up"


@dataclass(frozen=True, slots=True)
class Leases:
    """The leases of one table: rows in ``status`` are the ones that a process may hold."""

    table: Table
    status: str

    def claim(
        self,
        connection: Connection,
        rows: ColumnElement[bool],
        owner: str,
        until: datetime,
        **values: object,
    ) -> str:
        """Lease the rows, write the values to them; return the fencing token."""
        lease = str(uuid.uuid4())
        connection.execute(
            update(self.table)
            .where(rows)
            .values(owner=owner, lease=lease, lease_until=until, **values)
        )
        return lease

    def holding(self, lease: str) -> ColumnElement[bool]:
        """Rows that this lease still holds."""
        return and_(self.table.c.status == self.status, self.table.c.lease == lease)

    def change(
        self,
        connection: Connection,
        lease: str,
        values: dict[str, Any],
        work: str,
        only: ColumnElement[bool] | None = None,
    ) -> None:
        """Write to the rows that the lease holds, or to some of them.

        Raises
        ------
        LeaseLost
            It holds none any more; the message names the ``work``.
        """
        rows = and_(self.holding(lease), true() if only is None else only)
        if connection.execute(update(self.table).where(rows).values(values)).rowcount == 0:
            raise LeaseLost(work)

    def lost(self, owner: str | None, now: datetime) -> ColumnElement[bool]:
        """Leased rows of a process that died, or, without an owner, those that have expired."""
        columns = self.table.c
        whose = columns.owner == owner if owner else columns.lease_until < now
        return and_(columns.status == self.status, whose)

    def release(
        self, connection: Connection, owner: str | None, now: datetime, **values: object
    ) -> int:
        """Free the rows of `lost` and write the values to them; return how many."""
        lost = self.lost(owner, now)
        return connection.execute(update(self.table).where(lost).values(**FREE, **values)).rowcount


READINGS = Leases(schema.jobs, JobStatus.RUNNING)
DELIVERIES = Leases(schema.deliveries, DeliveryStatus.SENDING)
QUERIES = Leases(schema.deliveries, DeliveryStatus.ACCEPTED)
REQUESTS = Leases(schema.commitment_requests, REPORTING)


def lock(connection: Connection, table: Table, row: ColumnElement[bool]) -> bool:
    """Lock a row of `claiming`; False if it is gone, or another claim holds it.

    SQLite needs no lock: it has one writer.
    """
    query = select(table.c.id).where(row).with_for_update(skip_locked=True, key_share=True)
    return connection.execute(query).first() is not None


@contextmanager
def next_due(engine: Engine, query: Select[Any]) -> Iterator[tuple[Connection, RowMapping] | None]:
    """Open a write transaction with the query's first row; yield None if it has no row.

    The query runs once without a lock first, because most of the time nothing is due.
    """
    if not finds(engine, query):
        yield None
        return
    with writing(engine) as connection:
        row = connection.execute(query).mappings().first()
        yield None if row is None else (connection, row)
