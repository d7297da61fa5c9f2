"""Whether a destination keeps the objects it accepted; implements `dicom_node.ports.Commitments`.

A lease protects the query. The answer needs none: it is valid whenever it arrives, on any
association, and is applied once.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, insert, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.commitment import BY_COMMITMENT, NO_SUCH_OBJECT, CommitmentQuery, Failure
from dicom_node.domain.states import DELIVERY_TRANSITIONS, DeliveryEvent, DeliveryStatus
from dicom_node.store import audit, schema
from dicom_node.store.breakers import closed
from dicom_node.store.database import finds, of, reading, writing
from dicom_node.store.leases import FREE, QUERIES, next_due
from dicom_node.store.outbox import leased

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select

    from dicom_node.domain.commitment import CommitmentReport
    from dicom_node.ports import Clock

_DELIVERIES, _COMMITMENTS = schema.deliveries, schema.commitments
_UNDER_WAY = _DELIVERIES.alias("under_way")
_ACCEPTED = _DELIVERIES.c.status == DeliveryStatus.ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What a destination answers about the objects of one study."""

    kept: frozenset[str]  # SOP Instance UIDs
    missing: Mapping[str, Failure]  # SOP Instance UID -> why
    by: str


class CommitmentTable:
    """The accepted deliveries that are not verified yet."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def claim(
        self, owner: str, lease_until: datetime, destination: str | None = None
    ) -> CommitmentQuery | None:
        """Lease all objects of one study and destination that are to be verified now, or None."""
        now = self._clock()
        there = of(_DELIVERIES.c.destination, destination)
        with next_due(self._engine, _due(now).where(there)) as due:
            if due is None:
                return None
            connection, oldest = due
            rows = and_(
                _is_due(now),
                _DELIVERIES.c.study_instance_uid == oldest["study_instance_uid"],
                _DELIVERIES.c.destination == oldest["destination"],
            )
            lease = QUERIES.claim(connection, rows, owner, lease_until)
            deliveries = leased(connection, lease)
        return CommitmentQuery(
            transaction_uid=f"2.25.{uuid.uuid4().int}",  # PS3.5 B.2
            study_instance_uid=oldest["study_instance_uid"],
            destination=oldest["destination"],
            lease=lease,
            asked=oldest["asked"],
            deliveries=deliveries,
        )

    def due(self) -> list[str]:
        """Destinations that are to be asked now."""
        query = select(_DELIVERIES.c.destination).where(_is_due(self._clock())).distinct()
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def request(self, question: CommitmentQuery) -> None:
        """Store the transaction before it is sent, so that no answer can come too early.

        Raises LeaseLost, and writes nothing, if another process holds the query now.
        """
        now = self._clock()
        work = f"commitment query about study {question.study_instance_uid}"
        with writing(self._engine) as connection:
            values = {"transaction_uid": question.transaction_uid}
            QUERIES.change(connection, question.lease, values, work)
            connection.execute(
                insert(_COMMITMENTS).values(
                    transaction_uid=question.transaction_uid,
                    study_instance_uid=question.study_instance_uid,
                    destination=question.destination,
                    requested_at=now,
                )
            )
            audit.write(connection, now, [_event(AuditKind.COMMITMENT_REQUESTED, question)])

    def put_off(
        self, question: CommitmentQuery, reason: str, confirm_at: datetime | None, *, asked: bool
    ) -> None:
        """Verify again at ``confirm_at`` what is not known yet; None: never again.

        ``asked`` counts this query. Does nothing if another process holds the query now.
        """
        mine = QUERIES.holding(question.lease)
        with writing(self._engine) as connection:
            moved = connection.execute(
                update(_DELIVERIES)
                .where(mine)
                .values(
                    confirm_at=confirm_at,
                    last_reason=reason,
                    asked=_DELIVERIES.c.asked + int(asked),
                    **FREE,
                )
            )
            if moved.rowcount:
                due_at = confirm_at and schema.iso(confirm_at)
                event = _event(AuditKind.COMMITMENT_PENDING, question, reason=reason, due_at=due_at)
                audit.write(connection, self._clock(), [event])

    def is_open(self, question: CommitmentQuery) -> bool:
        """Whether any object of the query is still unanswered."""
        query = select(_DELIVERIES.c.id).where(QUERIES.holding(question.lease))
        return finds(self._engine, query)

    def asked(self, transaction_uid: str) -> str | None:
        """The destination of a transaction; None if it is unknown."""
        query = select(_COMMITMENTS.c.destination).where(
            _COMMITMENTS.c.transaction_uid == transaction_uid
        )
        with reading(self._engine) as connection:
            return connection.execute(query).scalar()

    def report(self, report: CommitmentReport, *, send_at: datetime, most: int) -> bool:
        """Apply a storage commitment report; False, and nothing written, if it is unknown.

        A missing object is sent again at ``send_at``; after ``most`` times it is held. What an
        older transaction reports missing is ignored: the object may have been sent again since.
        """
        query = select(_COMMITMENTS).where(_COMMITMENTS.c.transaction_uid == report.transaction_uid)
        verdict = _Verdict(
            kept=frozenset(each.sop_instance_uid for each in report.kept),
            missing={each.reference.sop_instance_uid: each for each in report.missing},
            by=BY_COMMITMENT,
        )
        with reading(self._engine) as connection:
            known = connection.execute(query).mappings().first()
        if known is None:
            return False
        of_transaction = _DELIVERIES.c.transaction_uid == report.transaction_uid
        of_study = and_(
            _DELIVERIES.c.study_instance_uid == known["study_instance_uid"],
            _DELIVERIES.c.destination == known["destination"],
        )
        self._settle(of_study, of_transaction, verdict, send_at, most)
        return True

    def found(
        self,
        question: CommitmentQuery,
        kept: frozenset[str],
        by: str,
        *,
        send_at: datetime | None,
        most: int,
    ) -> None:
        """Settle a query by what was found; with ``send_at`` None, missing objects wait."""
        missing = {
            each.sop_instance_uid: Failure(reference=each, code=NO_SUCH_OBJECT)
            for each in question.references
            if send_at and each.sop_instance_uid not in kept
        }
        verdict = _Verdict(kept=kept, missing=missing, by=by)
        mine = _DELIVERIES.c.lease == question.lease
        self._settle(mine, mine, verdict, send_at or self._clock(), most)

    def release(self, owner: str | None = None) -> int:
        """Free the queries of a process that died, or whose lease expired; how many objects."""
        with writing(self._engine) as connection:
            return QUERIES.release(connection, owner, self._clock())

    def _settle(
        self,
        which: ColumnElement[bool],
        may_miss: ColumnElement[bool],
        verdict: _Verdict,
        send_at: datetime,
        most: int,
    ) -> None:
        now = self._clock()
        query = select(_DELIVERIES, may_miss.label("may_miss")).where(which, _ACCEPTED)
        with writing(self._engine) as connection:
            events = []
            for row in connection.execute(query).mappings().all():
                uid = row["sop_instance_uid"]
                if uid in verdict.kept:
                    events.append(_commit(connection, row, verdict.by, now))
                elif uid in verdict.missing and row["may_miss"]:
                    events.append(_miss(connection, row, verdict.missing[uid], send_at, most))
            audit.write(connection, now, events)


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(
        _ACCEPTED,
        _DELIVERIES.c.confirm_at <= now,
        _DELIVERIES.c.lease.is_(None),
        ~exists().where(  # one query about the whole shipment, once all of it has been sent
            _UNDER_WAY.c.status == DeliveryStatus.SENDING,
            _UNDER_WAY.c.study_instance_uid == _DELIVERIES.c.study_instance_uid,
            _UNDER_WAY.c.destination == _DELIVERIES.c.destination,
        ),
        closed(_DELIVERIES.c.destination),
    )


def _due(now: datetime) -> Select[Any]:
    return (
        select(_DELIVERIES.c.study_instance_uid, _DELIVERIES.c.destination, _DELIVERIES.c.asked)
        .where(_is_due(now))
        .order_by(_DELIVERIES.c.confirm_at, _DELIVERIES.c.id)
        .limit(1)
    )


def _commit(connection: Connection, row: RowMapping, by: str, now: datetime) -> AuditEvent:
    _move(
        connection, row, DeliveryEvent.COMMITTED,
        committed_at=now, committed_by=by, last_reason=None,
    )  # fmt: skip
    return _object_event(AuditKind.DELIVERY_COMMITTED, row, by=by)


def _miss(
    connection: Connection, row: RowMapping, why: Failure, send_at: datetime, most: int
) -> AuditEvent:
    missed = row["missed"] + 1
    values = {"missed": missed, "last_status_code": why.code}
    if missed > most:
        reason = f"gave up: accepted {missed} times but not kept: {why.sentence}"
        _move(connection, row, DeliveryEvent.GAVE_UP, last_reason=reason, **values)
        return _object_event(AuditKind.DELIVERY_HELD, row, reason=reason)
    reason = f"accepted but not kept: {why.sentence}"
    _move(
        connection, row, DeliveryEvent.MISSED,
        due_at=send_at, attempt=0, accepted_at=None, last_reason=reason, **values,
    )  # fmt: skip
    return _object_event(AuditKind.DELIVERY_MISSED, row, reason=reason, due_at=schema.iso(send_at))


def _move(connection: Connection, row: RowMapping, event: DeliveryEvent, **values: object) -> None:
    connection.execute(
        update(_DELIVERIES)
        .where(_DELIVERIES.c.id == row["id"])
        .values(
            status=DELIVERY_TRANSITIONS[DeliveryStatus.ACCEPTED, event],
            confirm_at=None,
            **FREE,
            **values,
        )
    )


def _object_event(kind: AuditKind, row: RowMapping, **more: object) -> AuditEvent:
    detail = {
        "destination": row["destination"], "transaction_uid": row["transaction_uid"], **more
    }  # fmt: skip
    return AuditEvent(
        kind=kind,
        study_instance_uid=row["study_instance_uid"],
        sop_instance_uid=row["sop_instance_uid"],
        detail=detail,
    )


def _event(kind: AuditKind, question: CommitmentQuery, **more: object) -> AuditEvent:
    return AuditEvent(
        kind=kind,
        study_instance_uid=question.study_instance_uid,
        detail={
            "destination": question.destination,
            "transaction_uid": question.transaction_uid,
            "objects": len(question.deliveries),
            **more,
        },
    )
