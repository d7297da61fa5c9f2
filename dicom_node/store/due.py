"""Which studies are ready for a job, which job is read next, and its films."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, or_, select, update

from dicom_node.dicom.uids import FILM_CLASSES
from dicom_node.domain.states import JobStatus
from dicom_node.domain.values import ROUTINE
from dicom_node.store import schema
from dicom_node.store.inbox import UNDECIDED, instance_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Select

    from dicom_node.domain.values import Instance

#: Films of one job. A larger study is read in several, between which an urgent study is read.
FILMS_AT_ONCE = 32

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


def next_quiet(quiet_before: datetime) -> Select[Any]:
    """The oldest last arrival, after ``quiet_before``, of a study with films without a job."""
    waiting = and_(_INSTANCES.c.decision == UNDECIDED, _INSTANCES.c.job_id.is_(None))
    unclaimed = select(_INSTANCES.c.study_instance_uid).where(waiting)
    return select(func.min(_STUDIES.c.last_received_at)).where(
        _STUDIES.c.study_instance_uid.in_(unclaimed),
        _STUDIES.c.last_received_at > quiet_before,
    )


def next_jobs(now: datetime, without: Sequence[int] = ()) -> Select[Any]:
    """The oldest due job of each peer, with its ``peer`` and ``priority``; the greatest first.

    Jobs whose id is in ``without`` do not count.
    """
    films = (
        _INSTANCES.c.study_instance_uid == _JOBS.c.study_instance_uid,
        _INSTANCES.c.decision == UNDECIDED,
    )
    most_urgent = select(func.max(_INSTANCES.c.priority)).where(*films).scalar_subquery()
    priority = func.coalesce(most_urgent, ROUTINE)
    peer = select(func.min(_INSTANCES.c.calling_ae_title)).where(*films).scalar_subquery()
    turn = func.row_number().over(
        partition_by=[priority, peer], order_by=[_JOBS.c.due_at, _JOBS.c.id]
    )
    due = and_(_JOBS.c.status == JobStatus.WAITING, _JOBS.c.due_at <= now)
    if without:
        due = and_(due, _JOBS.c.id.not_in(without))
    waiting = (
        select(_JOBS, priority.label("priority"), peer.label("peer"), turn.label("turn"))
        .where(due)
        .subquery()
    )
    return (
        select(waiting)
        .where(waiting.c.turn == 1)
        .order_by(waiting.c.priority.desc(), waiting.c.due_at, waiting.c.id)
    )


def take_films(
    connection: Connection, job_id: int, study_instance_uid: str
) -> tuple[Instance, ...]:
    """Assign undecided films of the study to this job, at most `FILMS_AT_ONCE`; return them."""
    chosen = and_(
        _INSTANCES.c.study_instance_uid == study_instance_uid,
        _INSTANCES.c.decision == UNDECIDED,
        or_(_INSTANCES.c.job_id.is_(None), _INSTANCES.c.job_id == job_id),
    )
    films = (
        select(_INSTANCES.c.sop_instance_uid)
        .where(chosen)
        .order_by(_INSTANCES.c.job_id.is_(None), _INSTANCES.c.received_at)
        .limit(FILMS_AT_ONCE)
        .with_for_update(key_share=True)  # another job of the study may be claimed beside this one
    )
    chosen = _INSTANCES.c.sop_instance_uid.in_(connection.execute(films).scalars().all())
    connection.execute(update(_INSTANCES).where(chosen).values(job_id=job_id))
    rows = connection.execute(
        select(_INSTANCES)
        .where(chosen)
        .order_by(_INSTANCES.c.received_at, _INSTANCES.c.sop_instance_uid)
    ).mappings()
    return tuple(instance_of(row) for row in rows)
