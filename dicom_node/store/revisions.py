"""Reading a study again: its earlier reports, and the films that are read once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, select, update

from dicom_node.domain.states import DeliveryStatus, JobStatus
from dicom_node.domain.values import Result
from dicom_node.store import schema
from dicom_node.store.inbox import UNDECIDED
from dicom_node.store.outbox import result_of
from dicom_node.store.outcomes import READ

if TYPE_CHECKING:
    from sqlalchemy import Connection

_RESULTS, _DELIVERIES = schema.results.c, schema.deliveries.c
_JOBS, _INSTANCES = schema.jobs.c, schema.instances.c


def reports(connection: Connection, study_instance_uid: str) -> dict[str, tuple[Result, ...]]:
    """The newest reports of each film by its SOP Instance UID, one in each edition.

    Withheld ones were never sent.
    """
    withheld = exists().where(
        _DELIVERIES.sop_instance_uid == _RESULTS.sop_instance_uid,
        _DELIVERIES.status == DeliveryStatus.WITHHELD,
    )
    rows = connection.execute(
        select(schema.results)
        .where(
            _RESULTS.study_instance_uid == study_instance_uid,
            _RESULTS.modality == "SR",
            ~withheld,
        )
        .order_by(_RESULTS.composed_at, _RESULTS.sop_instance_uid)
    ).mappings()
    newest: dict[str, dict[tuple[str, ...], Result]] = {}
    for row in rows:
        result = result_of(row)
        newest.setdefault(row["source_sop_instance_uid"], {})[result.editions] = result
    return {film: tuple(each.values()) for film, each in newest.items()}


def reopen(connection: Connection, study_instance_uid: str) -> int:
    """Make the study's read films undecided again; how many, 0 if a job waits or runs."""
    at_work = select(_JOBS.id).where(
        _JOBS.study_instance_uid == study_instance_uid,
        _JOBS.status.in_([JobStatus.WAITING, JobStatus.RUNNING]),
    )
    if connection.execute(at_work).first() is not None:
        return 0
    return connection.execute(
        update(schema.instances)
        .where(_INSTANCES.study_instance_uid == study_instance_uid, _INSTANCES.decision == READ)
        .values(decision=UNDECIDED, job_id=None)
    ).rowcount
