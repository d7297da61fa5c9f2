"""Times further ahead than anything is put off: the clock was ahead when they were written.

A machine that starts with a wrong clock writes rows of a year to come. When the clock is set right
nothing of them would be due until then.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Column, update

from dicom_node.domain.states import DeliveryStatus, JobStatus
from dicom_node.store import schema
from dicom_node.store.commitment_requests import PENDING, REPORTING
from dicom_node.store.database import writing

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from dicom_node.ports import Clock

_JOBS, _DELIVERIES, _PLEDGES = schema.jobs.c, schema.deliveries.c, schema.pledges.c

# What waits: the column of its time, the column and values that say it waits.
_DUE: tuple[tuple[Column[datetime], Column[str] | None, tuple[str, ...]], ...] = (
    (schema.studies.c.last_received_at, None, ()),
    (schema.breakers.c.probe_at, None, ()),
    (_JOBS.due_at, _JOBS.status, (JobStatus.WAITING,)),
    (_DELIVERIES.due_at, _DELIVERIES.status, (DeliveryStatus.PENDING, DeliveryStatus.SENT)),
    (_DELIVERIES.confirm_at, _DELIVERIES.status, (DeliveryStatus.ACCEPTED,)),
    (_PLEDGES.due_at, _PLEDGES.status, (PENDING,)),
)
# What is held: the same of its lease.
_HELD: tuple[tuple[Column[datetime], Column[str], tuple[str, ...]], ...] = (
    (_JOBS.lease_until, _JOBS.status, (JobStatus.RUNNING,)),
    (
        _DELIVERIES.lease_until,
        _DELIVERIES.status,
        (DeliveryStatus.SENDING, DeliveryStatus.ACCEPTED),
    ),
    (_PLEDGES.lease_until, _PLEDGES.status, (REPORTING,)),
)


def repair_clock_skew(engine: Engine, clock: Clock, longest: timedelta) -> int:
    """Make due now what would wait more than ``longest``, and end leases then; how many rows."""
    now = clock()
    latest = now + longest
    pulled = 0
    with writing(engine) as connection:
        for times, becomes in ((_DUE, now), (_HELD, latest)):
            for time, status, waiting in times:
                late = update(time.table).where(time > latest).values({time.name: becomes})
                if status is not None:
                    late = late.where(status.in_(waiting))
                pulled += connection.execute(late).rowcount
    return pulled
