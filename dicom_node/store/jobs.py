"""The readings to do; implements `dicom_node.ports.Jobs`.

A claim returns a lease; every later write about the job must show it (`dicom_node.store.leases`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.states import JOB_TRANSITIONS, JobEvent, JobStatus
from dicom_node.domain.values import Job
from dicom_node.store import audit, libpq, schema
from dicom_node.store.database import announce, claiming, finds, of, reading, writing
from dicom_node.store.due import next_jobs, next_quiet, ready_studies, take_films
from dicom_node.store.earlier import earlier_readings
from dicom_node.store.inbox import contested
from dicom_node.store.leases import FREE, READINGS, lock
from dicom_node.store.outcomes import events_of, record
from dicom_node.store.revisions import reopen, reports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, RowMapping

    from dicom_node.domain.values import FilmOutcome
    from dicom_node.ports import Clock

_JOBS, _INSTANCES, _STUDIES = schema.jobs, schema.instances, schema.studies


class JobTable:
    """Jobs in the database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._turns: dict[str, int] = {}  # peer -> its latest turn, of this process

    def open_ready(self, quiet_before: datetime, overdue_before: datetime | None = None) -> int:
        """Make a job of every study whose undecided films were quiet, or have waited too long.

        A study is quiet if none of its films is newer than ``quiet_before``; instances that are
        never read do not count, so they cannot delay it. A study with a film older than
        ``overdue_before`` is opened even if films still arrive.

        A film that arrives while a job waits joins it; one that arrives while a job runs waits for
        the next revision. Returns how many jobs it made, and writes STUDY_READY for each.
        """
        query = ready_studies(quiet_before, overdue_before)
        if not finds(self._engine, query):
            return 0
        with writing(self._engine) as connection:
            ready = connection.execute(query).mappings().all()
            for study in ready:
                self._open(connection, study["study_instance_uid"], study["revision"] + 1)
        return len(ready)

    def next_quiet(self, quiet_before: datetime) -> datetime | None:
        """When the study that is quiet next received its last instance; None if there is none."""
        with reading(self._engine) as connection:
            found: datetime | None = connection.execute(next_quiet(quiet_before)).scalar()
        return found

    def claim(self, owner: str, lease_until: datetime) -> Job | None:
        """Lease a due job: by priority, then each peer in turn, then the oldest; or None.

        A peer that sent a hundred studies delays another peer's study by one reading only.
        """
        now = self._clock()
        if not finds(self._engine, next_jobs(now)):  # nearly always
            return None
        with claiming(self._engine) as connection:
            row = self._lock_next(connection, now)
            if row is None:
                return None
            lease = READINGS.claim(
                connection,
                _JOBS.c.id == row["id"],
                owner,
                lease_until,
                status=JOB_TRANSITIONS[JobStatus.WAITING, JobEvent.CLAIMED],
                attempt=row["attempt"] + 1,
                started_at=now,
            )
            instances = take_films(connection, row["id"], row["study_instance_uid"])
            predecessors = reports(connection, row["study_instance_uid"])
            earlier = earlier_readings(connection, row["study_instance_uid"])
            disputed = contested(connection, [each.sop_instance_uid for each in instances])
        return Job(
            id=row["id"], study_instance_uid=row["study_instance_uid"], revision=row["revision"],
            attempt=row["attempt"] + 1, lease=lease, instances=instances,
            predecessors=predecessors, earlier=earlier, contested=disputed,
        )  # fmt: skip

    def finish(
        self, job: Job, outcomes: Sequence[FilmOutcome], destinations: Mapping[str, str]
    ) -> None:
        """Decide the instances, fill the outbox and close the job in one transaction.

        ``destinations`` says which edition each gets. Each film gets audit lines: FILM_REFUSED, or
        FILM_SELECTED, FILM_READ and OBJECTS_COMPOSED.

        Raises
        ------
        LeaseLost
            Another process holds the job now. Nothing is written.
        ValueError
            The outcomes are not those of the job's instances, one each.
        """
        _check_complete(job, outcomes)
        now = self._clock()
        with writing(self._engine) as connection:
            _settle(connection, job, JobEvent.FINISHED, {"finished_at": now, "last_reason": None})
            for outcome in outcomes:
                record(connection, job, outcome, destinations, now)
            events = [event for outcome in outcomes for event in events_of(job, outcome)]
            audit.write(connection, now, events)
            announce(connection, libpq.DELIVERIES)

    def renew(self, job: Job, lease_until: datetime) -> None:
        """Extend the lease. Raises LeaseLost as `finish` does."""
        with writing(self._engine) as connection:
            _change(connection, job, {"lease_until": lease_until})

    def split(self, job: Job) -> None:
        """Move the second half of a job's films to a new job; both are due now, at attempt 0.

        Repeated, it leaves a film that makes every attempt fail alone in its job. Writes JOB_SPLIT.
        Raises LeaseLost as `finish` does.
        """
        now = self._clock()
        moved = [film.sop_instance_uid for film in job.instances[len(job.instances) // 2 :]]
        with writing(self._engine) as connection:
            _settle(connection, job, JobEvent.FAILED, {"due_at": now, "attempt": 0})
            revision = _newest_revision(connection, job.study_instance_uid) + 1
            detail: dict[str, object] = {"revision": job.revision, "films": len(job.instances)}
            detail |= {"moved": len(moved), "to_revision": revision}
            audit.write(
                connection, now, [_event(AuditKind.JOB_SPLIT, job.study_instance_uid, detail)]
            )
            other = self._open(connection, job.study_instance_uid, revision)
            connection.execute(
                update(_INSTANCES)
                .where(_INSTANCES.c.job_id == job.id, _INSTANCES.c.sop_instance_uid.in_(moved))
                .values(job_id=other)
            )

    def fail(self, job: Job, reason: str, due_at: datetime | None) -> None:
        """Schedule the next attempt, or park the job (None). Raises LeaseLost as `finish` does."""
        event = JobEvent.GAVE_UP if due_at is None else JobEvent.FAILED
        kind = AuditKind.JOB_PARKED if due_at is None else AuditKind.JOB_FAILED
        now = self._clock()
        with writing(self._engine) as connection:
            _settle(connection, job, event, {"due_at": due_at or now, "last_reason": reason})
            detail: dict[str, object] = {
                "revision": job.revision,
                "attempt": job.attempt,
                "reason": reason,
            }
            audit.write(connection, now, [_event(kind, job.study_instance_uid, detail)])

    def release(self, owner: str | None = None) -> int:
        """Return jobs of a process that died, or whose lease expired, to the queue; how many."""
        lost = READINGS.lost(owner, self._clock())
        return self._move(JobStatus.RUNNING, JobEvent.LEASE_LOST, lost)

    def retry(self, study_instance_uid: str | None) -> int:
        """Return parked jobs of the study, or of all, to the queue at attempt 0; how many."""
        of_study = of(_JOBS.c.study_instance_uid, study_instance_uid)
        return self._move(
            JobStatus.PARKED, JobEvent.RETRIED, of_study, AuditKind.JOB_RETRIED, attempt=0
        )

    def discard(self, study_instance_uid: str) -> int:
        """Discard the parked jobs of the study; how many."""
        of_study = _JOBS.c.study_instance_uid == study_instance_uid
        return self._move(JobStatus.PARKED, JobEvent.DISCARDED, of_study, AuditKind.JOB_DISCARDED)

    def reread(self, study_instance_uid: str) -> int:
        """Open a revision with every film of the study that was read; return how many films.

        0, and no revision is opened, if no film was read or the study is being read now.
        """
        with writing(self._engine) as connection:
            films = reopen(connection, study_instance_uid)
            if films:
                reread = _event(AuditKind.STUDY_REREAD, study_instance_uid, {"films": films})
                audit.write(connection, self._clock(), [reread])
                revision = _newest_revision(connection, study_instance_uid)
                self._open(connection, study_instance_uid, revision + 1)
        return films

    def _lock_next(self, connection: Connection, now: datetime) -> RowMapping | None:
        """Lock the job whose turn it is, past those that other workers claim at this moment."""
        taken: list[int] = []
        while heads := connection.execute(next_jobs(now, taken)).mappings().all():
            row = self._in_turn(heads)
            waits = and_(_JOBS.c.id == row["id"], _JOBS.c.status == JobStatus.WAITING)
            if lock(connection, _JOBS, waits):
                return row
            taken.append(row["id"])
        return None

    def _in_turn(self, heads: Sequence[RowMapping]) -> RowMapping:
        """Of the first jobs of the peers, that of the peer whose turn is longest ago."""
        first = [head for head in heads if head["priority"] == heads[0]["priority"]]
        chosen = min(first, key=lambda head: self._turns.get(head["peer"], 0))
        self._turns[chosen["peer"]] = max(self._turns.values(), default=0) + 1
        return chosen

    def _open(self, connection: Connection, study_instance_uid: str, revision: int) -> int:
        """Insert a waiting job; return its id."""
        now = self._clock()
        (job_id,) = connection.execute(
            insert(_JOBS)
            .values(
                study_instance_uid=study_instance_uid,
                revision=revision,
                status=JobStatus.WAITING,
                attempt=0,
                created_at=now,
                due_at=now,
            )
            .returning(_JOBS.c.id)
        ).one()
        connection.execute(
            update(_STUDIES)
            .where(_STUDIES.c.study_instance_uid == study_instance_uid)
            .values(revision=revision)
        )
        ready = _event(AuditKind.STUDY_READY, study_instance_uid, {"revision": revision})
        audit.write(connection, now, [ready])
        announce(connection, libpq.READINGS)
        return int(job_id)

    def _move(
        self,
        status: JobStatus,
        event: JobEvent,
        which: ColumnElement[bool],
        kind: AuditKind | None = None,
        **values: object,
    ) -> int:
        """Apply an event to the chosen jobs of a status: due at once, without a lease."""
        now = self._clock()
        chosen = and_(_JOBS.c.status == status, which)
        with writing(self._engine) as connection:
            studies = connection.execute(select(_JOBS.c.study_instance_uid).where(chosen)).scalars()
            moved = studies.all()
            if moved:
                connection.execute(
                    update(_JOBS)
                    .where(chosen)
                    .values(status=JOB_TRANSITIONS[status, event], due_at=now, **FREE, **values)
                )
                announce(connection, libpq.READINGS)
            if kind is not None:
                audit.write(connection, now, [_event(kind, study, {}) for study in moved])
        return len(moved)


def _newest_revision(connection: Connection, study_instance_uid: str) -> int:
    query = select(_STUDIES.c.revision).where(_STUDIES.c.study_instance_uid == study_instance_uid)
    revision: int = connection.execute(query).scalar_one()
    return revision


def _check_complete(job: Job, outcomes: Sequence[FilmOutcome]) -> None:
    """Raise ValueError unless each film has one outcome: without one it would never be read."""
    expected = sorted(instance.sop_instance_uid for instance in job.instances)
    if sorted(outcome.sop_instance_uid for outcome in outcomes) != expected:
        raise ValueError(f"job {job.id} needs one outcome for each of {expected}")


def _settle(connection: Connection, job: Job, event: JobEvent, values: dict[str, Any]) -> None:
    """Apply an event to a running job."""
    status = JOB_TRANSITIONS[JobStatus.RUNNING, event]
    _change(connection, job, {"status": status, **FREE, **values})


def _change(connection: Connection, job: Job, values: dict[str, Any]) -> None:
    """Write to a running job; raises LeaseLost if its lease is not in force."""
    READINGS.change(
        connection, job.lease, values, f"job {job.id} of study {job.study_instance_uid}"
    )


def _event(kind: AuditKind, study_instance_uid: str, detail: dict[str, object]) -> AuditEvent:
    return AuditEvent(kind=kind, study_instance_uid=study_instance_uid, detail=detail)
