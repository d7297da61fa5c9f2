"""Results and their way to each destination; implements `dicom_node.ports.Outbox`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.states import DELIVERY_TRANSITIONS, DeliveryEvent, DeliveryStatus
from dicom_node.domain.values import Delivery, Result, Settlement, Shipment
from dicom_node.store import audit, libpq, schema
from dicom_node.store.breakers import closed
from dicom_node.store.database import announce, of, reading, writing
from dicom_node.store.leases import DELIVERIES, FREE, next_due

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

    def claim(
        self, owner: str, lease_until: datetime, destination: str | None = None
    ) -> Shipment | None:
        """Lease everything due for the study and destination that has waited longest.

        None if nothing is due, there or anywhere. A destination whose breaker is open is skipped.
        """
        now = self._clock()
        there = of(_DELIVERIES.c.destination, destination)
        with next_due(self._engine, _oldest_due(now).where(there)) as due:
            if due is None:
                return None
            connection, oldest = due
            lease = DELIVERIES.claim(
                connection,
                and_(
                    _is_due(now),
                    _DELIVERIES.c.study_instance_uid == oldest["study_instance_uid"],
                    _DELIVERIES.c.destination == oldest["destination"],
                ),
                owner,
                lease_until,
                status=DELIVERY_TRANSITIONS[DeliveryStatus.PENDING, DeliveryEvent.CLAIMED],
                attempt=_DELIVERIES.c.attempt + 1,
            )
            deliveries = leased(connection, lease)
        return Shipment(
            study_instance_uid=oldest["study_instance_uid"],
            destination=oldest["destination"],
            lease=lease,
            deliveries=deliveries,
        )

    def due(self) -> list[str]:
        """Destinations for which something is due now."""
        query = select(_DELIVERIES.c.destination).where(_is_due(self._clock())).distinct()
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def renew(self, shipment: Shipment, lease_until: datetime, *events: AuditEvent) -> None:
        """Extend the lease and write the events; raises LeaseLost if another process holds it."""
        work = f"shipment to {shipment.destination}"
        with writing(self._engine) as connection:
            DELIVERIES.change(connection, shipment.lease, {"lease_until": lease_until}, work)
            audit.write(connection, self._clock(), events)

    def settle(self, shipment: Shipment, settlements: Sequence[Settlement]) -> None:
        """Record what became of each delivery, with its audit line, in one transaction.

        Raises LeaseLost, and writes nothing, if another process holds the shipment now.
        """
        now = self._clock()
        with writing(self._engine) as connection:
            for settlement in settlements:
                _settle(connection, shipment, settlement, now)
            sent = {delivery.id: delivery for delivery in shipment.deliveries}
            events = [_event(shipment, sent[each.delivery_id], each) for each in settlements]
            audit.write(connection, now, events)

    def release(self, owner: str | None = None) -> int:
        """Return deliveries of a process that died, or whose lease expired, to the queue."""
        lost = DELIVERIES.lost(owner, self._clock())
        with writing(self._engine) as connection:
            return len(
                self._move(connection, DeliveryStatus.SENDING, DeliveryEvent.LEASE_LOST, lost)
            )

    def retry(self, study_instance_uid: str | None) -> int:
        """Return held deliveries of the study, or of all, to the queue at attempt 0; how many."""
        return self._by_hand(
            DeliveryEvent.RETRIED, AuditKind.DELIVERY_RETRIED, study_instance_uid,
            attempt=0, asked=0, missed=0,
        )  # fmt: skip

    def discard(self, study_instance_uid: str) -> int:
        """Discard the held deliveries of the study; how many."""
        return self._by_hand(
            DeliveryEvent.DISCARDED, AuditKind.DELIVERY_DISCARDED, study_instance_uid
        )

    def discard_destination(self, destination: str) -> int:
        """Discard the held deliveries to a destination; how many."""
        return self._by_hand(
            DeliveryEvent.DISCARDED, AuditKind.DELIVERY_DISCARDED, destination=destination
        )

    def _by_hand(
        self,
        event: DeliveryEvent,
        kind: AuditKind,
        study_instance_uid: str | None = None,
        destination: str | None = None,
        **values: object,
    ) -> int:
        """Apply a person's decision to held deliveries, with an audit line for each."""
        which = and_(
            of(_DELIVERIES.c.study_instance_uid, study_instance_uid),
            of(_DELIVERIES.c.destination, destination),
        )
        with writing(self._engine) as connection:
            moved = self._move(connection, DeliveryStatus.HELD, event, which, **values)
            events = [
                AuditEvent(
                    kind=kind,
                    study_instance_uid=row["study_instance_uid"],
                    sop_instance_uid=row["sop_instance_uid"],
                    detail={"destination": row["destination"], "reason": row["last_reason"]},
                )
                for row in moved
            ]
            audit.write(connection, self._clock(), events)
        return len(moved)

    def _move(
        self,
        connection: Connection,
        status: DeliveryStatus,
        event: DeliveryEvent,
        which: ColumnElement[bool],
        **values: object,
    ) -> Sequence[RowMapping]:
        """Apply an event to the chosen deliveries of a status: due at once, without a lease."""
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
            announce(connection, libpq.DELIVERIES)
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
    """The deliveries that a lease holds, with their results."""
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
    """A row as a value."""
    return Result(
        sop_instance_uid=row["sop_instance_uid"],
        sop_class_uid=row["sop_class_uid"],
        series_instance_uid=row["series_instance_uid"],
        modality=row["modality"],
        series_description=row["series_description"],
        path=Path(row["path"]),
        editions=tuple(row["editions"]),
        sent_study_instance_uid=row["sent_study_instance_uid"],
    )


def _settle(
    connection: Connection, shipment: Shipment, settlement: Settlement, now: datetime
) -> None:
    """Apply one settlement; raises LeaseLost if the shipment's lease is not in force."""
    status = DELIVERY_TRANSITIONS[DeliveryStatus.SENDING, settlement.event]
    values = {
        "status": status,
        "due_at": settlement.due_at or now,
        "last_status_code": settlement.status_code,
        "last_reason": settlement.reason,
        "accepted_at": now if status is DeliveryStatus.ACCEPTED else None,
        "confirm_at": now if settlement.confirm else None,
        "asked": 0,
        **FREE,
    }
    work = f"delivery {settlement.delivery_id} to {shipment.destination}"
    this = _DELIVERIES.c.id == settlement.delivery_id
    DELIVERIES.change(connection, shipment.lease, values, work, this)


def _event(shipment: Shipment, delivery: Delivery, settlement: Settlement) -> AuditEvent:
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
