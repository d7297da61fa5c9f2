"""Repair of times that a wrong clock wrote.

A machine whose clock was ahead wrote rows that are due in the future. Once the clock is right,
nothing in those rows would be due for as long. A time further ahead than the node ever postpones
anything is therefore wrong, and becomes now.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Column, update

from dicom_node.domain.states import DeliveryStatus, JobStatus
from dicom_node.store import schema
from dicom_node.store.database import writing
from dicom_node.store.leases import PENDING, REPORTING

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from dicom_node.ports import Clock

_JOBS, _DELIVERIES = schema.jobs.c, schema.deliveries.c
_REQUESTS = schema.commitment_requests.c

# What waits: its due time, and the status column with the values that mean waiting.
_DUE: tuple[tuple[Column[datetime], Column[str] | None, tuple[str, ...]], ...] = (
    (schema.studies.c.last_received_at, None, ()),
    (schema.breakers.c.probe_at, None, ()),
    (_JOBS.due_at, _JOBS.status, (JobStatus.WAITING,)),
    (_DELIVERIES.due_at, _DELIVERIES.status, (DeliveryStatus.PENDING, DeliveryStatus.SENT)),
    (_DELIVERIES.confirm_at, _DELIVERIES.status, (DeliveryStatus.ACCEPTED,)),
    (_REQUESTS.due_at, _REQUESTS.status, (PENDING,)),
)
# What is leased: the same for the end of its lease.
_HELD: tuple[tuple[Column[datetime], Column[str], tuple[str, ...]], ...] = (
    (_JOBS.lease_until, _JOBS.status, (JobStatus.RUNNING,)),
    (
        _DELIVERIES.lease_until,
        _DELIVERIES.status,
        (DeliveryStatus.SENDING, DeliveryStatus.ACCEPTED),
    ),
    (_REQUESTS.lease_until, _REQUESTS.status, (REPORTING,)),
)


def repair_clock_skew(engine: Engine, clock: Clock, longest: timedelta) -> int:
    """Make due now what would wait longer than ``longest``, shorten leases to it; how many rows."""
    now = clock()
    latest = now + longest
    repaired = 0
    with writing(engine) as connection:
        for times, becomes in ((_DUE, now), (_HELD, latest)):
            for time, status, waiting in times:
                late = update(time.table).where(time > latest).values({time.name: becomes})
                if status is not None:
                    late = late.where(status.in_(waiting))
                repaired += connection.execute(late).rowcount
    return repaired
