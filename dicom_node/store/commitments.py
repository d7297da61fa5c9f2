"""What became of accepted objects: whether a destination keeps them; implements `Commitments`.

A question is fenced by a lease, an answer is not: whenever and on whichever association it comes,
it counts, and counts once.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, insert, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.commitment import BY_COMMITMENT, NO_SUCH_OBJECT, CommitmentQuery, Failure
from dicom_node.domain.states import DELIVERY_TRANSITIONS, DeliveryEvent, DeliveryStatus
from dicom_node.errors import LeaseLost
from dicom_node.store import audit, schema
from dicom_node.store.breakers import closed
from dicom_node.store.database import FREE, finds, reading, writing
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
    """What is said of the objects of one study at one destination."""

    kept: frozenset[str]  # SOP Instance UIDs
    missing: Mapping[str, Failure]  # SOP Instance UID -> why
    by: str


class CommitmentTable:
    """The accepted deliveries that are still asked after."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def claim(self, owner: str, lease_until: datetime) -> CommitmentQuery | None:
        """Lease all accepted objects of a study and destination that are to be asked after."""
        query = _due(self._clock())
        if not finds(self._engine, query):
            return None
        with writing(self._engine) as connection:
            oldest = connection.execute(query).first()
            if oldest is None:
                return None
            lease = str(uuid.uuid4())
            connection.execute(
                update(_DELIVERIES)
                .where(
                    _is_due(self._clock()),
                    _DELIVERIES.c.study_instance_uid == oldest.study_instance_uid,
                    _DELIVERIES.c.destination == oldest.destination,
                )
                .values(owner=owner, lease=lease, lease_until=lease_until)
            )
            deliveries = leased(connection, lease)
        return CommitmentQuery(
            transaction_uid=f"2.25.{uuid.uuid4().int}",  # PS3.5 B.2
            study_instance_uid=oldest.study_instance_uid,
            destination=oldest.destination,
            lease=lease,
            asked=oldest.asked,
            deliveries=deliveries,
        )

    def request(self, inquiry: CommitmentQuery) -> None:
        """Write down that commitment is asked for now, so that no answer can come too early.

        Raises LeaseLost, and writes nothing, where the inquiry's lease has passed on.
        """
        now = self._clock()
        with writing(self._engine) as connection:
            asked = connection.execute(
                update(_DELIVERIES)
                .where(_ACCEPTED, _DELIVERIES.c.lease == inquiry.lease)
                .values(transaction_uid=inquiry.transaction_uid)
            )
            if asked.rowcount == 0:
                raise LeaseLost(f"inquiry about study {inquiry.study_instance_uid}")
            connection.execute(
                insert(_COMMITMENTS).values(
                    transaction_uid=inquiry.transaction_uid,
                    study_instance_uid=inquiry.study_instance_uid,
                    destination=inquiry.destination,
                    requested_at=now,
                )
            )
            audit.write(connection, now, [_told(AuditKind.COMMITMENT_REQUESTED, inquiry)])

    def put_off(
        self, inquiry: CommitmentQuery, reason: str, confirm_at: datetime | None, *, asked: bool
    ) -> None:
        """Ask again at ``confirm_at`` about what is not known yet; None: not any more.

        ``asked`` counts this question. Nothing happens where the lease has passed on.
        """
        mine = and_(_ACCEPTED, _DELIVERIES.c.lease == inquiry.lease)
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
                told = _told(AuditKind.COMMITMENT_PENDING, inquiry, reason=reason, due_at=due_at)
                audit.write(connection, self._clock(), [told])

    def is_open(self, inquiry: CommitmentQuery) -> bool:
        """Whether anything of the inquiry is still unanswered."""
        query = select(_DELIVERIES.c.id).where(_ACCEPTED, _DELIVERIES.c.lease == inquiry.lease)
        return finds(self._engine, query)

    def report(self, report: CommitmentReport, *, send_at: datetime, most: int) -> bool:
        """Take a storage commitment report in; False, and nothing written, for an unknown one.

        What is missing is sent again at ``send_at``, and held after ``most`` times. That of an
        older request does not count: the object may have been sent again since.
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
        inquiry: CommitmentQuery,
        kept: frozenset[str],
        by: str,
        *,
        send_at: datetime | None,
        most: int,
    ) -> None:
        """Settle an inquiry by what was looked up; ``send_at`` None leaves what is missing."""
        missing = {
            each.sop_instance_uid: Failure(reference=each, code=NO_SUCH_OBJECT)
            for each in inquiry.references
            if send_at and each.sop_instance_uid not in kept
        }
        verdict = _Verdict(kept=kept, missing=missing, by=by)
        mine = _DELIVERIES.c.lease == inquiry.lease
        self._settle(mine, mine, verdict, send_at or self._clock(), most)

    def release(self, owner: str | None = None) -> int:
        """Give back the inquiries of a dead owner, or all that ran out; how many objects."""
        late = _DELIVERIES.c.lease_until < self._clock()
        lost = and_(_ACCEPTED, _DELIVERIES.c.owner == owner if owner else late)
        with writing(self._engine) as connection:
            return connection.execute(update(_DELIVERIES).where(lost).values(**FREE)).rowcount

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
            told = []
            for row in connection.execute(query).mappings().all():
                uid = row["sop_instance_uid"]
                if uid in verdict.kept:
                    told.append(_commit(connection, row, verdict.by, now))
                elif uid in verdict.missing and row["may_miss"]:
                    told.append(_miss(connection, row, verdict.missing[uid], send_at, most))
            audit.write(connection, now, told)


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(
        _ACCEPTED,
        _DELIVERIES.c.confirm_at <= now,
        _DELIVERIES.c.lease.is_(None),
        ~exists().where(  # one question about the whole shipment, when all of it is there
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
    return _line(AuditKind.DELIVERY_COMMITTED, row, by=by)


def _miss(
    connection: Connection, row: RowMapping, why: Failure, send_at: datetime, most: int
) -> AuditEvent:
    missed = row["missed"] + 1
    values = {"missed": missed, "last_status_code": why.code}
    if missed > most:
        reason = f"gave up: accepted {missed} times, and not kept: {why.sentence}"
        _move(connection, row, DeliveryEvent.GAVE_UP, last_reason=reason, **values)
        return _line(AuditKind.DELIVERY_HELD, row, reason=reason)
    reason = f"accepted, and not kept: {why.sentence}"
    _move(
        connection, row, DeliveryEvent.MISSED,
        due_at=send_at, attempt=0, accepted_at=None, last_reason=reason, **values,
    )  # fmt: skip
    return _line(AuditKind.DELIVERY_MISSED, row, reason=reason, due_at=schema.iso(send_at))


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


def _line(kind: AuditKind, row: RowMapping, **more: object) -> AuditEvent:
    detail = {
        "destination": row["destination"], "transaction_uid": row["transaction_uid"], **more
    }  # fmt: skip
    return AuditEvent(
        kind=kind,
        study_instance_uid=row["study_instance_uid"],
        sop_instance_uid=row["sop_instance_uid"],
        detail=detail,
    )


def _told(kind: AuditKind, inquiry: CommitmentQuery, **more: object) -> AuditEvent:
    return AuditEvent(
        kind=kind,
        study_instance_uid=inquiry.study_instance_uid,
        detail={
            "destination": inquiry.destination,
            "transaction_uid": inquiry.transaction_uid,
            "objects": len(inquiry.deliveries),
            **more,
        },
    )
