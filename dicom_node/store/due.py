"""Which studies are ready for a job, and which job is read next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, or_, select

from dicom_node.dicom.uids import FILM_CLASSES
from dicom_node.domain.states import JobStatus
from dicom_node.store import schema
from dicom_node.store.inbox import UNDECIDED

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Select

_JOBS, _INSTANCES, _STUDIES = schema.jobs, schema.instances, schema.studies


def ready_studies(quiet_before: datetime, overdue_before: datetime | None) -> Select[Any]:
    """Studies whose films were quiet, or have waited too long, and that no job is reading.

    The query starts from the few films without a job: it runs several times a second for years.
    """
    waiting = and_(_INSTANCES.c.decision == UNDECIDED, _INSTANCES.c.job_id.is_(None))
    unclaimed = select(_INSTANCES.c.study_instance_uid).where(waiting)
    of_study = and_(waiting, _INSTANCES.c.study_instance_uid == _STUDIES.c.study_instance_uid)
    film = and_(of_study, _INSTANCES.c.sop_class_uid.in_(FILM_CLASSES))
    quiet = or_(
        _STUDIES.c.last_received_at <= quiet_before,
        and_(exists().where(film), ~exists().where(film, _INSTANCES.c.received_at > quiet_before)),
    )
    if overdue_before is not None:
        quiet = or_(quiet, exists().where(of_study, _INSTANCES.c.received_at <= overdue_before))
    at_work = exists().where(
        _JOBS.c.study_instance_uid == _STUDIES.c.study_instance_uid,
        _JOBS.c.status.in_([JobStatus.WAITING, JobStatus.RUNNING]),
    )
    return select(_STUDIES.c.study_instance_uid, _STUDIES.c.revision).where(
        _STUDIES.c.study_instance_uid.in_(unclaimed),
        ~at_work,
        quiet,
    )


def next_jobs(now: datetime) -> Select[Any]:
    """The oldest due job of each peer, with its ``peer`` and ``urgent``; urgent ones first."""
    urgent = exists().where(
        _INSTANCES.c.study_instance_uid == _JOBS.c.study_instance_uid,
        _INSTANCES.c.decision == UNDECIDED,
        _INSTANCES.c.priority > 0,
    )
    peer = (
        select(func.min(_INSTANCES.c.calling_ae_title))
        .where(
            _INSTANCES.c.study_instance_uid == _JOBS.c.study_instance_uid,
            _INSTANCES.c.decision == UNDECIDED,
        )
        .scalar_subquery()
    )
    turn = func.row_number().over(
        partition_by=[urgent, peer], order_by=[_JOBS.c.due_at, _JOBS.c.id]
    )
    waiting = (
        select(_JOBS, urgent.label("urgent"), peer.label("peer"), turn.label("turn"))
        .where(_JOBS.c.status == JobStatus.WAITING, _JOBS.c.due_at <= now)
        .subquery()
    )
    return (
        select(waiting)
        .where(waiting.c.turn == 1)
        .order_by(waiting.c.urgent.desc(), waiting.c.due_at, waiting.c.id)
    )
