"""What a finished job leaves behind: decisions, readings, results, and their deliveries to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from dicom_node.domain import AuditEvent, AuditKind, DeliveryStatus, FilmOutcome, Job, Result
from dicom_node.store import schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

READ, REFUSED = "read", "refused"


def record(
    connection: Connection,
    job: Job,
    outcome: FilmOutcome,
    destinations: Sequence[str],
    now: datetime,
) -> None:
    """Write one film's outcome; results known already keep their rows and their deliveries."""
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
    if outcome.reading is not None:
        _insert_reading(connection, job, outcome, now)
    for result in outcome.results:
        _insert_result(connection, job, outcome, result, now)
        _insert_deliveries(connection, job, result, destinations, now)


def told_of(job: Job, outcome: FilmOutcome) -> list[AuditEvent]:
    """The audit lines of one film's outcome."""
    if outcome.refusal is not None:
        refused = {"code": outcome.refusal.code.value, "reason": outcome.refusal.reason}
        return [_told(job, outcome, AuditKind.FILM_REFUSED, dict(refused))]
    composed = [
        {
            "sop_instance_uid": result.sop_instance_uid,
            "sop_class_uid": result.sop_class_uid,
            "modality": result.modality,
        }
        for result in outcome.results
    ]
    return [
        _told(job, outcome, AuditKind.FILM_SELECTED, {}),
        _told(job, outcome, AuditKind.FILM_READ, outcome.reading or {}),
        _told(job, outcome, AuditKind.OBJECTS_COMPOSED, {"objects": composed}),
    ]


def _told(job: Job, outcome: FilmOutcome, kind: AuditKind, detail: dict[str, object]) -> AuditEvent:
    return AuditEvent(
        kind=kind,
        study_instance_uid=job.study_instance_uid,
        sop_instance_uid=outcome.sop_instance_uid,
        detail={"revision": job.revision, **detail},
    )


def _insert_reading(connection: Connection, job: Job, outcome: FilmOutcome, now: datetime) -> None:
    column = schema.readings.c.sop_instance_uid
    if not _is_there(connection, column, outcome.sop_instance_uid):
        connection.execute(
            insert(schema.readings).values(
                sop_instance_uid=outcome.sop_instance_uid,
                job_id=job.id,
                read_at=now,
                summary=outcome.reading,
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
                composed_at=now,
            )
        )


def _insert_deliveries(
    connection: Connection, job: Job, result: Result, destinations: Sequence[str], now: datetime
) -> None:
    table = schema.deliveries
    known = (
        connection.execute(
            select(table.c.destination).where(table.c.sop_instance_uid == result.sop_instance_uid)
        )
        .scalars()
        .all()
    )
    for destination in destinations:
        if destination not in known:
            connection.execute(
                insert(table).values(
                    sop_instance_uid=result.sop_instance_uid,
                    study_instance_uid=job.study_instance_uid,
                    destination=destination,
                    status=DeliveryStatus.PENDING,
                    attempt=0,
                    due_at=now,
                )
            )


def _is_there(connection: Connection, column: Any, value: str) -> bool:
    return connection.execute(select(column).where(column == value)).first() is not None
