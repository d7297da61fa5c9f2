"""Removes studies, delivered and old ones or at a person's command: files first, then rows.

One study is one transaction that holds the write lock, so that no job is opened for a film that is
being removed. After a crash between files and commit the rows are still there without their files;
the next round finds the study again and finishes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, false, func, or_, select

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.conflicts import ConflictOutcome
from dicom_node.domain.states import DeliveryStatus, JobStatus
from dicom_node.fail_points import fail_point
from dicom_node.store import audit, schema
from dicom_node.store.database import reading, writing
from dicom_node.store.folders import results_folder
from dicom_node.store.inbox import UNDECIDED

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, Select, Table

    from dicom_node.dicom.blobs import Blobs
    from dicom_node.ports import Clock

_STUDIES, _JOBS, _INSTANCES = schema.studies, schema.jobs, schema.instances
_RESULTS, _DELIVERIES = schema.results, schema.deliveries
_CONFLICTS = schema.conflicts.c
_OVER = (JobStatus.DONE, JobStatus.DISCARDED)
_STUCK = (DeliveryStatus.HELD, DeliveryStatus.WITHHELD)
_ARRIVED = (DeliveryStatus.COMMITTED, DeliveryStatus.DISCARDED)


class RetentionTable:
    """Which studies may be removed, and their removal."""

    def __init__(self, engine: Engine, clock: Clock, blobs: Blobs) -> None:
        self._engine = engine
        self._clock = clock
        self._blobs = blobs

    def removable(
        self, before: datetime, limit: int, stuck_before: datetime | None = None
    ) -> list[str]:
        """At most ``limit`` studies, unchanged since ``before`` and delivered everywhere.

        Parameters
        ----------
        stuck_before
            What has been parked, held or withheld since then does not keep a study; None: it does,
            however long.
        """
        with reading(self._engine) as connection:
            query = _removable(before, stuck_before).limit(limit)
            return list(connection.execute(query).scalars())

    def remove(
        self, study_instance_uid: str, before: datetime, stuck_before: datetime | None = None
    ) -> bool:
        """Remove a study and write STUDY_REMOVED; False if it may not be removed any more.

        The audit line counts what was never read or delivered.
        """
        only = _removable(before, stuck_before)
        only = only.where(_STUDIES.c.study_instance_uid == study_instance_uid)
        with writing(self._engine) as connection:
            if connection.execute(only).first() is None:
                return False
            stuck = _stuck(connection, study_instance_uid)
            counts = self._delete(connection, study_instance_uid) | stuck
            event = _event(AuditKind.STUDY_REMOVED, study_instance_uid, counts)
            audit.write(connection, self._clock(), [event])
        fail_point("retention.removed")
        return True

    def erase(self, study_instance_uid: str, user: str) -> dict[str, int] | None:
        """Remove a study whatever its state, and write STUDY_ERASED.

        A process that works on the study loses its lease, and records and sends nothing more.

        Returns
        -------
        dict or None
            How many ``films`` and ``results`` were removed; None if the study is unknown.
        """
        known = select(_STUDIES).where(_STUDIES.c.study_instance_uid == study_instance_uid)
        with writing(self._engine) as connection:
            beside = _kept_beside(connection, _CONFLICTS.study_instance_uid == study_instance_uid)
            if connection.execute(known).first() is None and not beside:
                return None
            counts = self._delete(connection, study_instance_uid)
            self._blobs.drop(results_folder(study_instance_uid))
            event = _event(AuditKind.STUDY_ERASED, study_instance_uid, counts, user=user)
            audit.write(connection, self._clock(), [event])
        return counts

    def _delete(self, connection: Connection, study_instance_uid: str) -> dict[str, int]:
        """Delete a study's files and rows; return how many films and results."""
        films = _paths(connection, _INSTANCES, study_instance_uid)
        results = _paths(connection, _RESULTS, study_instance_uid)
        # Other bytes received under the same UID go with them, of whatever study they are.
        beside = _kept_beside(
            connection,
            or_(
                _CONFLICTS.study_instance_uid == study_instance_uid,
                _CONFLICTS.kept_study_instance_uid == study_instance_uid,
            ),
        )
        beside += [
            each
            for path in films
            for each in self._blobs.beside(path)
            if not _is_kept(connection, each, study_instance_uid)
        ]
        self._blobs.delete([*films, *beside, *results])
        fail_point("retention.removed-files")
        _forget(connection, study_instance_uid)
        return {"films": len(films), "results": len(results)}


def _event(
    kind: AuditKind, study_instance_uid: str, counts: dict[str, int], **more: str
) -> AuditEvent:
    return AuditEvent(kind=kind, study_instance_uid=study_instance_uid, detail={**counts, **more})


def _stuck(connection: Connection, study_instance_uid: str) -> dict[str, int]:
    """How many of the study's jobs and deliveries are parked, held or withheld, by status."""
    found: dict[str, int] = {}
    for table, statuses in ((_JOBS, [JobStatus.PARKED]), (_DELIVERIES, _STUCK)):
        query = (
            select(table.c.status, func.count())
            .where(table.c.study_instance_uid == study_instance_uid, table.c.status.in_(statuses))
            .group_by(table.c.status)
        )
        found |= {status: count for status, count in connection.execute(query)}
    return found


def _removable(before: datetime, stuck_before: datetime | None) -> Select[Any]:
    study = _STUDIES.c.study_instance_uid
    # Jobs are parked, and deliveries held or withheld, at the time in `due_at`.
    parked: ColumnElement[bool] = false()
    stuck: ColumnElement[bool] = false()
    if stuck_before is not None:
        parked = and_(_JOBS.c.status == JobStatus.PARKED, _JOBS.c.due_at < stuck_before)
        stuck = and_(_DELIVERIES.c.status.in_(_STUCK), _DELIVERIES.c.due_at < stuck_before)
    over = or_(_JOBS.c.status.in_(_OVER), parked)
    undecided = exists().where(
        _INSTANCES.c.study_instance_uid == study,
        _INSTANCES.c.decision == UNDECIDED,
        or_(
            _INSTANCES.c.job_id.is_(None),
            ~exists().where(_JOBS.c.id == _INSTANCES.c.job_id, over),
        ),
    )
    at_work = exists().where(
        _JOBS.c.study_instance_uid == study,
        or_(~over, _JOBS.c.finished_at >= before),
    )
    arrived = or_(
        stuck,
        _DELIVERIES.c.status.in_(_ARRIVED),
        and_(
            _DELIVERIES.c.status == DeliveryStatus.ACCEPTED,
            _DELIVERIES.c.confirm_at.is_(None),  # it will not be verified any more
        ),
    )
    newest = func.coalesce(_DELIVERIES.c.committed_at, _DELIVERIES.c.accepted_at)
    on_the_way = exists().where(
        _DELIVERIES.c.study_instance_uid == study, or_(~arrived, newest >= before)
    )
    return (
        select(study)
        .where(_STUDIES.c.last_received_at < before, ~undecided, ~at_work, ~on_the_way)
        .order_by(_STUDIES.c.last_received_at)
    )


def _paths(connection: Connection, table: Table, study_instance_uid: str) -> list[Path]:
    query = select(table.c.path).where(table.c.study_instance_uid == study_instance_uid)
    return [Path(path) for path in connection.execute(query).scalars()]


def _kept_beside(connection: Connection, which: ColumnElement[bool]) -> list[Path]:
    """The objects that were kept beside another object of the same UID."""
    query = select(_CONFLICTS.path).where(which, _CONFLICTS.outcome == ConflictOutcome.KEPT)
    return [Path(path) for path in connection.execute(query).scalars()]


def _is_kept(connection: Connection, path: Path, study_instance_uid: str) -> bool:
    """Whether the file is a film of another study."""
    other = exists().where(
        _INSTANCES.c.path == path.as_posix(), _INSTANCES.c.study_instance_uid != study_instance_uid
    )
    return bool(connection.execute(select(other)).scalar())


def _forget(connection: Connection, study_instance_uid: str) -> None:
    """Delete the rows of a study, referring rows first; the audit lines stay."""
    films = select(_INSTANCES.c.sop_instance_uid).where(
        _INSTANCES.c.study_instance_uid == study_instance_uid
    )
    for readings in (schema.shadow_readings, schema.readings):
        connection.execute(delete(readings).where(readings.c.sop_instance_uid.in_(films)))
    conflicts = schema.conflicts
    connection.execute(
        delete(conflicts).where(
            or_(
                conflicts.c.study_instance_uid == study_instance_uid,
                conflicts.c.kept_study_instance_uid == study_instance_uid,
            )
        )
    )
    for table in (
        _DELIVERIES, schema.commitments, schema.verdicts, _RESULTS, _INSTANCES, _JOBS, _STUDIES,
    ):  # fmt: skip
        connection.execute(delete(table).where(table.c.study_instance_uid == study_instance_uid))
