"""The objects on their way; implements `dicom_node.ports.Outbox`."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.states import DELIVERY_TRANSITIONS, DeliveryEvent, DeliveryStatus
from dicom_node.domain.values import Delivery, Result, Settlement, Shipment
from dicom_node.errors import LeaseLost
from dicom_node.store import audit, schema
from dicom_node.store.breakers import closed
from dicom_node.store.database import FREE, finds, of, writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select

    from dicom_node.ports import Clock

_DELIVERIES, _RESULTS = schema.deliveries, schema.results
_KINDS = {
    DeliveryEvent.ACCEPTED: AuditKind.DELIVERY_ACCEPTED,
    DeliveryEvent.UNANSWERED: AuditKind.DELIVERY_DEFERRED,
    DeliveryEvent.UNAVAILABLE: AuditKind.DELIVERY_DEFERRED,
    DeliveryEvent.REFUSED: AuditKind.DELIVERY_HELD,
    DeliveryEvent.GAVE_UP: AuditKind.DELIVERY_HELD,
}


class OutboxTable:
    """Deliveries in the database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def claim(self, owner: str, lease_until: datetime) -> Shipment | None:
        """Lease everything due for the study and destination that waited longest, or None.

        A destination whose breaker is open is passed over.
        """
        now = self._clock()
        if not finds(self._engine, _oldest_due(now)):
            return None
        with writing(self._engine) as connection:
            oldest = connection.execute(_oldest_due(now)).first()
            if oldest is None:
                return None
            lease = str(uuid.uuid4())
            connection.execute(
                update(_DELIVERIES)
                .where(
                    _is_due(now),
                    _DELIVERIES.c.study_instance_uid == oldest.study_instance_uid,
                    _DELIVERIES.c.destination == oldest.destination,
                )
                .values(
                    status=DELIVERY_TRANSITIONS[DeliveryStatus.PENDING, DeliveryEvent.CLAIMED],
                    attempt=_DELIVERIES.c.attempt + 1,
                    owner=owner,
                    lease=lease,
                    lease_until=lease_until,
                )
            )
            deliveries = leased(connection, lease)
        return Shipment(
            study_instance_uid=oldest.study_instance_uid,
            destination=oldest.destination,
            lease=lease,
            deliveries=deliveries,
        )

    def renew(self, shipment: Shipment, lease_until: datetime, *events: AuditEvent) -> None:
        """Keep the lease for longer, and write the events. Raises LeaseLost where it passed on."""
        mine = and_(
            _DELIVERIES.c.status == DeliveryStatus.SENDING, _DELIVERIES.c.lease == shipment.lease
        )
        renewed = update(_DELIVERIES).where(mine).values(lease_until=lease_until)
        with writing(self._engine) as connection:
            if connection.execute(renewed).rowcount == 0:
                raise LeaseLost(f"shipment to {shipment.destination}")
            audit.write(connection, self._clock(), events)

    def settle(self, shipment: Shipment, settlements: Sequence[Settlement]) -> None:
        """Record how each delivery went, with its audit line: one transaction.

        Raises LeaseLost, and writes nothing, where the shipment's lease has passed on.
        """
        now = self._clock()
        with writing(self._engine) as connection:
            for settlement in settlements:
                _settle(connection, shipment, settlement, now)
            sent = {delivery.id: delivery for delivery in shipment.deliveries}
            told = [_told(shipment, sent[each.delivery_id], each) for each in settlements]
            audit.write(connection, now, told)

    def release(self, owner: str | None = None) -> int:
        """Give back the leases of a dead owner, or all that ran out; how many."""
        late = _DELIVERIES.c.lease_until < self._clock()
        lost = _DELIVERIES.c.owner == owner if owner else late
        with writing(self._engine) as connection:
            return len(
                self._move(connection, DeliveryStatus.SENDING, DeliveryEvent.LEASE_LOST, lost)
            )

    def retry(self, study_instance_uid: str | None) -> int:
        """Wake held deliveries of the study, or of all, with all attempts ahead; how many."""
        return self._by_hand(
            DeliveryEvent.RETRIED, AuditKind.DELIVERY_RETRIED, study_instance_uid,
            attempt=0, asked=0, missed=0,
        )  # fmt: skip

    def discard(self, study_instance_uid: str) -> int:
        """Give up the held deliveries of the study for good; how many."""
        return self._by_hand(
            DeliveryEvent.DISCARDED, AuditKind.DELIVERY_DISCARDED, study_instance_uid
        )

    def _by_hand(
        self,
        event: DeliveryEvent,
        kind: AuditKind,
        study_instance_uid: str | None,
        **values: object,
    ) -> int:
        """What a person decides about held deliveries, with a line for each."""
        of_study = of(_DELIVERIES.c.study_instance_uid, study_instance_uid)
        with writing(self._engine) as connection:
            moved = self._move(connection, DeliveryStatus.HELD, event, of_study, **values)
            told = [
                AuditEvent(
                    kind=kind,
                    study_instance_uid=row["study_instance_uid"],
                    sop_instance_uid=row["sop_instance_uid"],
                    detail={"destination": row["destination"], "reason": row["last_reason"]},
                )
                for row in moved
            ]
            audit.write(connection, self._clock(), told)
        return len(moved)

    def _move(
        self,
        connection: Connection,
        status: DeliveryStatus,
        event: DeliveryEvent,
        which: ColumnElement[bool],
        **values: object,
    ) -> Sequence[RowMapping]:
        """Apply an event to every delivery of a status; due at once, leased by nobody."""
        chosen = and_(_DELIVERIES.c.status == status, which)
        rows = connection.execute(select(_DELIVERIES).where(chosen)).mappings().all()
        if rows:
            connection.execute(
                update(_DELIVERIES)
                .where(chosen)
                .values(
                    status=DELIVERY_TRANSITIONS[status, event],
                    due_at=self._clock(),
                    **FREE,
                    **values,
                )
            )
        return rows


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(
        _DELIVERIES.c.status.in_([DeliveryStatus.PENDING, DeliveryStatus.SENT]),
        _DELIVERIES.c.due_at <= now,
        closed(_DELIVERIES.c.destination),
    )


def _oldest_due(now: datetime) -> Select[Any]:
    return (
        select(_DELIVERIES.c.study_instance_uid, _DELIVERIES.c.destination)
        .where(_is_due(now))
        .order_by(_DELIVERIES.c.due_at, _DELIVERIES.c.id)
        .limit(1)
    )


def leased(connection: Connection, lease: str) -> tuple[Delivery, ...]:
    """What a lease holds, with the objects."""
    query = (
        select(_DELIVERIES.c.id, _DELIVERIES.c.attempt, _RESULTS)
        .join(_RESULTS, _RESULTS.c.sop_instance_uid == _DELIVERIES.c.sop_instance_uid)
        .where(_DELIVERIES.c.lease == lease)
        .order_by(_DELIVERIES.c.id)
    )
    return tuple(
        Delivery(id=row["id"], attempt=row["attempt"], result=result_of(row))
        for row in connection.execute(query).mappings()
    )


def result_of(row: RowMapping) -> Result:
    """A row as the value everybody else knows."""
    return Result(
        sop_instance_uid=row["sop_instance_uid"],
        sop_class_uid=row["sop_class_uid"],
        series_instance_uid=row["series_instance_uid"],
        modality=row["modality"],
        series_description=row["series_description"],
        path=Path(row["path"]),
    )


def _settle(
    connection: Connection, shipment: Shipment, settlement: Settlement, now: datetime
) -> None:
    """Move one delivery on, if the lease shown is still the one in force."""
    status = DELIVERY_TRANSITIONS[DeliveryStatus.SENDING, settlement.event]
    settled = connection.execute(
        update(_DELIVERIES)
        .where(
            _DELIVERIES.c.id == settlement.delivery_id,
            _DELIVERIES.c.status == DeliveryStatus.SENDING,
            _DELIVERIES.c.lease == shipment.lease,
        )
        .values(
            status=status,
            due_at=settlement.due_at or now,
            last_status_code=settlement.status_code,
            last_reason=settlement.reason,
            accepted_at=now if status is DeliveryStatus.ACCEPTED else None,
            confirm_at=now if settlement.confirm else None,
            asked=0,
            **FREE,
        )
    )
    if settled.rowcount == 0:
        raise LeaseLost(f"delivery {settlement.delivery_id} to {shipment.destination}")


def _told(shipment: Shipment, delivery: Delivery, settlement: Settlement) -> AuditEvent:
    code = settlement.status_code
    return AuditEvent(
        kind=_KINDS[settlement.event],
        study_instance_uid=shipment.study_instance_uid,
        sop_instance_uid=delivery.result.sop_instance_uid,
        detail={
            "destination": shipment.destination,
            "attempt": delivery.attempt,
            "status": None if code is None else f"0x{code:04X}",
            "reason": settlement.reason,
            "due_at": settlement.due_at and schema.iso(settlement.due_at),
        },
    )
