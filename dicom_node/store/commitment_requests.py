"""Storage commitment requests from peers, until they are answered."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.commitment import CommitmentRequest, Kept, Reference
from dicom_node.store import audit, schema
from dicom_node.store.database import of, reading, writing
from dicom_node.store.leases import (
    FREE,
    GIVEN_UP,
    PENDING,
    REPORTED,
    REPORTING,
    REQUESTS,
    next_due,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, Select

    from dicom_node.ports import Clock

MOST_OPEN = 500  # requests of one peer that are not answered
MOST_OBJECTS = 100_000  # that these name together; the longest request names 5000
MOST_HOURLY = 5000  # new requests of one peer
PAUSE = timedelta(minutes=1)  # between two reports on the same request
KEPT = timedelta(days=1)  # how long an answered request is remembered
LONGEST = timedelta(days=7)  # how long a report is tried

_REQUESTS = schema.commitment_requests
_is_over = _REQUESTS.c.status.in_([REPORTED, GIVEN_UP])


class CommitmentRequestTable:
    """What peers asked, and whether they have the answer."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def keep(self, request: CommitmentRequest, *events: AuditEvent) -> Kept:
        """Store a request, durably; a repeated request is answered again, after a pause.

        Nothing is written if the peer has too many. Answered ones are forgotten after a day. Only
        a new request has an audit line of its own.
        """
        now = self._clock()
        known = and_(
            _REQUESTS.c.transaction_uid == request.transaction_uid,
            _REQUESTS.c.ae_title == request.ae_title,
        )
        fresh: dict[str, Any] = {
            "items": [[each.sop_class_uid, each.sop_instance_uid] for each in request.references],
            "status": PENDING,
            "attempt": 0,
            "asked_at": now,
            "due_at": now,
            "last_reason": None,
            **FREE,
        }
        with writing(self._engine) as connection:
            connection.execute(delete(_REQUESTS).where(_is_over, _REQUESTS.c.asked_at < now - KEPT))
            row = connection.execute(select(_REQUESTS).where(known)).mappings().first()
            if row is not None and row["status"] in (PENDING, REPORTING):
                audit.write(connection, now, events)  # a report is on its way already
                return Kept.REPEATED
            if not _has_room(connection, request, now):
                return Kept.TOO_MANY
            if row is not None:
                fresh["due_at"] = max(now, row["asked_at"] + PAUSE)
                connection.execute(update(_REQUESTS).where(known).values(fresh))
                audit.write(connection, now, events)
                return Kept.REPEATED
            connection.execute(
                insert(_REQUESTS).values(
                    transaction_uid=request.transaction_uid, ae_title=request.ae_title, **fresh
                )
            )
            audit.write(connection, now, [*events, _event(AuditKind.COMMITMENT_ASKED, request)])
        return Kept.NEW

    def claim(
        self, owner: str, lease_until: datetime, ae_title: str | None = None
    ) -> CommitmentRequest | None:
        """Lease the oldest request that is to be answered now, or None."""
        of_peer = of(_REQUESTS.c.ae_title, ae_title)
        with next_due(self._engine, _oldest_due(self._clock()).where(of_peer)) as due:
            if due is None:
                return None
            connection, row = due
            attempt = row["attempt"] + 1
            this = _REQUESTS.c.id == row["id"]
            lease = REQUESTS.claim(
                connection, this, owner, lease_until, status=REPORTING, attempt=attempt
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

    def due(self) -> list[str]:
        """AE titles of the peers that are to be answered now."""
        query = select(_REQUESTS.c.ae_title).where(_is_due(self._clock())).distinct()
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def known(self, references: Sequence[Reference]) -> dict[str, tuple[str, Path]]:
        """SOP Class UID and file, below the data folder, of each known SOP Instance UID."""
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

    def reported(self, request: CommitmentRequest, kept: int, missing: int) -> None:
        """Close it: the peer has the answer. Raises LeaseLost if another process holds it."""
        event = _event(AuditKind.COMMITMENT_REPORTED, request, kept=kept, missing=missing)
        self._settle(request, event, {"status": REPORTED, "last_reason": None, "items": []})

    def put_off(self, request: CommitmentRequest, reason: str, due_at: datetime | None) -> None:
        """Try again at ``due_at``, or give up: it is None, or the request is a week old.

        Raises LeaseLost as `reported` does.
        """
        asked_at = select(_REQUESTS.c.asked_at).where(_REQUESTS.c.id == request.id)
        with reading(self._engine) as connection:
            asked = connection.execute(asked_at).scalar()
        if asked is not None and asked < self._clock() - LONGEST:
            due_at = None
        kind = AuditKind.COMMITMENT_DEFERRED if due_at else AuditKind.COMMITMENT_GIVEN_UP
        values: dict[str, Any] = {"status": PENDING if due_at else GIVEN_UP, "last_reason": reason}
        if due_at is None:
            values["items"] = []
        else:
            values["due_at"] = due_at
        self._settle(request, _event(kind, request, reason=reason), values)

    def release(self, owner: str | None = None) -> int:
        """Free the requests of a process that died, or whose lease expired; how many."""
        with writing(self._engine) as connection:
            return REQUESTS.release(connection, owner, self._clock(), status=PENDING)

    def _settle(
        self, request: CommitmentRequest, event: AuditEvent, values: dict[str, Any]
    ) -> None:
        work = f"commitment report to {request.ae_title}"
        with writing(self._engine) as connection:
            REQUESTS.change(connection, request.lease, {**values, **FREE}, work)
            audit.write(connection, self._clock(), [event])


def _has_room(connection: Connection, request: CommitmentRequest, now: datetime) -> bool:
    """Whether the peer may have one more request."""
    of_peer = _REQUESTS.c.ae_title == request.ae_title
    count = func.count(_REQUESTS.c.id)
    objects = func.coalesce(func.sum(func.json_array_length(_REQUESTS.c["items"])), 0)
    is_open, named = connection.execute(select(count, objects).where(of_peer, ~_is_over)).one()
    new = select(count).where(of_peer, _REQUESTS.c.asked_at > now - timedelta(hours=1))
    return (
        is_open < MOST_OPEN
        and named + len(request.references) <= MOST_OBJECTS
        and connection.execute(new).scalar_one() < MOST_HOURLY
    )


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(_REQUESTS.c.status == PENDING, _REQUESTS.c.due_at <= now)


def _oldest_due(now: datetime) -> Select[Any]:
    return (
        select(_REQUESTS).where(_is_due(now)).order_by(_REQUESTS.c.due_at, _REQUESTS.c.id).limit(1)
    )


def _event(kind: AuditKind, request: CommitmentRequest, **more: object) -> AuditEvent:
    return AuditEvent(
        kind=kind,
        detail={
            "ae_title": request.ae_title,
            "transaction_uid": request.transaction_uid,
            "objects": len(request.references),
            **more,
        },
    )
