"""Storage commitment requests from peers, until they are answered."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.commitment import CommitmentRequest, Reference
from dicom_node.errors import LeaseLost
from dicom_node.store import audit, schema
from dicom_node.store.database import FREE, finds, reading, writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Engine, Select

    from dicom_node.ports import Clock

_PLEDGES = schema.pledges
PENDING, REPORTING, REPORTED, GIVEN_UP = "pending", "reporting", "reported", "given-up"


class PledgeTable:
    """What was asked, and whether the peer knows the answer."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def keep(self, pledge: CommitmentRequest, *events: AuditEvent) -> None:
        """Write a request down, durably; the same one again is answered again."""
        now = self._clock()
        known = and_(
            _PLEDGES.c.transaction_uid == pledge.transaction_uid,
            _PLEDGES.c.ae_title == pledge.ae_title,
        )
        fresh = {
            "items": [[each.sop_class_uid, each.sop_instance_uid] for each in pledge.references],
            "status": PENDING,
            "attempt": 0,
            "asked_at": now,
            "due_at": now,
            "last_reason": None,
            **FREE,
        }
        with writing(self._engine) as connection:
            if not connection.execute(update(_PLEDGES).where(known).values(fresh)).rowcount:
                connection.execute(
                    insert(_PLEDGES).values(
                        transaction_uid=pledge.transaction_uid, ae_title=pledge.ae_title, **fresh
                    )
                )
            audit.write(connection, now, [*events, _told(AuditKind.PLEDGE_ASKED, pledge)])

    def claim(self, owner: str, lease_until: datetime) -> CommitmentRequest | None:
        """Lease the oldest that is to be reported now, or None."""
        query = _due(self._clock())
        if not finds(self._engine, query):
            return None
        with writing(self._engine) as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            lease, attempt = str(uuid.uuid4()), row["attempt"] + 1
            connection.execute(
                update(_PLEDGES)
                .where(_PLEDGES.c.id == row["id"])
                .values(
                    status=REPORTING,
                    attempt=attempt,
                    owner=owner,
                    lease=lease,
                    lease_until=lease_until,
                )
            )
        return CommitmentRequest(
            id=row["id"],
            transaction_uid=row["transaction_uid"],
            ae_title=row["ae_title"],
            references=tuple(
                Reference(sop_class_uid=sop_class, sop_instance_uid=instance)
                for sop_class, instance in row["items"]
            ),
            lease=lease,
            attempt=attempt,
        )

    def known(self, references: Sequence[Reference]) -> dict[str, tuple[str, Path]]:
        """SOP class and file, below the data folder, of those that were received or composed."""
        asked = {reference.sop_instance_uid for reference in references}
        found: dict[str, tuple[str, Path]] = {}
        with reading(self._engine) as connection:
            for table in (schema.results, schema.instances):
                for uid in asked:
                    query = select(table.c.sop_class_uid, table.c.path).where(
                        table.c.sop_instance_uid == uid
                    )
                    if (row := connection.execute(query).first()) is not None:
                        found[uid] = row.sop_class_uid, Path(row.path)
        return found

    def reported(self, pledge: CommitmentRequest, kept: int, missing: int) -> None:
        """Close it: the peer has been told. Raises LeaseLost where the lease has passed on."""
        told = _told(AuditKind.PLEDGE_REPORTED, pledge, kept=kept, missing=missing)
        self._settle(pledge, told, {"status": REPORTED, "last_reason": None})

    def put_off(self, pledge: CommitmentRequest, reason: str, due_at: datetime | None) -> None:
        """Try again at ``due_at``, or no more (None). Raises LeaseLost as `reported` does."""
        kind = AuditKind.PLEDGE_DEFERRED if due_at else AuditKind.PLEDGE_GIVEN_UP
        values: dict[str, Any] = {"status": PENDING if due_at else GIVEN_UP, "last_reason": reason}
        if due_at is not None:
            values["due_at"] = due_at
        self._settle(pledge, _told(kind, pledge, reason=reason), values)

    def release(self, owner: str | None = None) -> int:
        """Give back the leases of a dead owner, or all that ran out; how many."""
        late = _PLEDGES.c.lease_until < self._clock()
        lost = and_(_PLEDGES.c.status == REPORTING, _PLEDGES.c.owner == owner if owner else late)
        with writing(self._engine) as connection:
            return connection.execute(
                update(_PLEDGES).where(lost).values(status=PENDING, **FREE)
            ).rowcount

    def _settle(self, pledge: CommitmentRequest, told: AuditEvent, values: dict[str, Any]) -> None:
        mine = and_(_PLEDGES.c.status == REPORTING, _PLEDGES.c.lease == pledge.lease)
        with writing(self._engine) as connection:
            settled = connection.execute(update(_PLEDGES).where(mine).values(**values, **FREE))
            if settled.rowcount == 0:
                raise LeaseLost(f"commitment report to {pledge.ae_title}")
            audit.write(connection, self._clock(), [told])


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(_PLEDGES.c.status == PENDING, _PLEDGES.c.due_at <= now)


def _due(now: datetime) -> Select[Any]:
    return select(_PLEDGES).where(_is_due(now)).order_by(_PLEDGES.c.due_at, _PLEDGES.c.id).limit(1)


def _told(kind: AuditKind, pledge: CommitmentRequest, **more: object) -> AuditEvent:
    return AuditEvent(
        kind=kind,
        detail={
            "ae_title": pledge.ae_title,
            "transaction_uid": pledge.transaction_uid,
            "objects": len(pledge.references),
            **more,
        },
    )
