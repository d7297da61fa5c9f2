"""Writes what a finished job produced: decisions, readings, results and pending deliveries."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.states import DeliveryStatus
from dicom_node.domain.values import FilmOutcome, Job, Result
from dicom_node.store import schema

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

READ, REFUSED = "read", "refused"


def record(
    connection: Connection,
    job: Job,
    outcome: FilmOutcome,
    destinations: Mapping[str, str],
    now: datetime,
) -> None:
    """Write one film's outcome; a result that is stored already keeps its row and deliveries."""
    refusal = outcome.refusal
    connection.execute(
        update(schema.instances)
        .where(schema.instances.c.sop_instance_uid == outcome.sop_instance_uid)
        .values(
            decision=REFUSED if refusal else READ,
            refusal_code=refusal.code.value if refusal else None,
            refusal_reason=refusal.reason if refusal else None,
        )
    )
    _replace_reading(connection, job, outcome, now)
    for result in outcome.results:
        _insert_result(connection, job, outcome, result, now)
        _insert_deliveries(connection, job, outcome, result, destinations, now)


def events_of(job: Job, outcome: FilmOutcome) -> list[AuditEvent]:
    """The audit lines of one film's outcome."""
    events: list[tuple[AuditKind, dict[str, object]]] = [
        (AuditKind.FILM_SELECTED, {}),
        (AuditKind.FILM_READ, outcome.reading.as_json() if outcome.reading else {}),
    ]
    if refusal := outcome.refusal:
        refused: dict[str, object] = {"code": refusal.code.value, "reason": refusal.reason}
        events = [(AuditKind.FILM_REFUSED, refused)]
    if outcome.results:
        composed = [
            {
                "sop_instance_uid": result.sop_instance_uid,
                "sop_class_uid": result.sop_class_uid,
                "modality": result.modality,
                "editions": list(result.editions),
            }
            for result in outcome.results
        ]
        events.append((AuditKind.OBJECTS_COMPOSED, {"objects": composed}))
    if outcome.faults:
        faults = [asdict(fault) for fault in outcome.faults]
        events.append((AuditKind.OBJECTS_WITHHELD, {"faults": faults}))
    return [_event(job, outcome, kind, detail) for kind, detail in events]


def _event(
    job: Job, outcome: FilmOutcome, kind: AuditKind, detail: dict[str, object]
) -> AuditEvent:
    return AuditEvent(
        kind=kind,
        study_instance_uid=job.study_instance_uid,
        sop_instance_uid=outcome.sop_instance_uid,
        detail={"revision": job.revision, **detail},
    )


def _replace_reading(connection: Connection, job: Job, outcome: FilmOutcome, now: datetime) -> None:
    """Replace the film's reading; earlier ones stay in the audit log."""
    uid = outcome.sop_instance_uid
    connection.execute(delete(schema.readings).where(schema.readings.c.sop_instance_uid == uid))
    if outcome.reading is not None:
        connection.execute(
            insert(schema.readings).values(
                sop_instance_uid=uid,
                job_id=job.id,
                read_at=now,
                summary=outcome.reading.as_json(),
                film_date=outcome.film_date and outcome.film_date.isoformat(),
                **(asdict(outcome.traits) if outcome.traits else {}),
            )
        )


def _insert_result(
    connection: Connection, job: Job, outcome: FilmOutcome, result: Result, now: datetime
) -> None:
    if not _is_there(connection, schema.results.c.sop_instance_uid, result.sop_instance_uid):
        connection.execute(
            insert(schema.results).values(
                sop_instance_uid=result.sop_instance_uid,
                source_sop_instance_uid=outcome.sop_instance_uid,
                study_instance_uid=job.study_instance_uid,
                sop_class_uid=result.sop_class_uid,
                series_instance_uid=result.series_instance_uid,
                modality=result.modality,
                series_description=result.series_description,
                path=result.path.as_posix(),
                editions=list(result.editions),
                sent_study_instance_uid=result.sent_study_instance_uid,
                composed_at=now,
            )
        )


def _insert_deliveries(
    connection: Connection,
    job: Job,
    outcome: FilmOutcome,
    result: Result,
    destinations: Mapping[str, str],
    now: datetime,
) -> None:
    """Insert the deliveries; one failed object withholds all results of its film."""
    table = schema.deliveries
    known = (
        connection.execute(
            select(table.c.destination).where(table.c.sop_instance_uid == result.sop_instance_uid)
        )
        .scalars()
        .all()
    )
    for destination, edition in destinations.items():
        if edition in result.editions and destination not in known:
            connection.execute(
                insert(table).values(
                    sop_instance_uid=result.sop_instance_uid,
                    study_instance_uid=job.study_instance_uid,
                    destination=destination,
                    status=DeliveryStatus.WITHHELD if outcome.faults else DeliveryStatus.PENDING,
                    attempt=0,
                    due_at=now,
                    last_reason=_why_withheld(outcome, result),
                )
            )


def _why_withheld(outcome: FilmOutcome, result: Result) -> str | None:
    if not outcome.faults:
        return None
    uid = result.sop_instance_uid
    own = [fault.message for fault in outcome.faults if fault.sop_instance_uid == uid]
    return "; ".join(own) or "another object of this film failed the node's own check"


def _is_there(connection: Connection, column: Any, value: str) -> bool:
    return connection.execute(select(column).where(column == value)).first() is not None
