"""What a candidate made of the films that were read."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, desc, exists, insert, or_, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.paired import Candidate
from dicom_node.domain.states import DeliveryStatus, JobStatus
from dicom_node.store import audit, schema
from dicom_node.store.database import reading, writing
from dicom_node.store.inbox import UNDECIDED, instance_of
from dicom_node.store.outcomes import READ
from dicom_node.store.pairs import Row, new_films, shadow_pairs, with_readings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Engine, Select

    from dicom_node.domain.evidence import Pairs
    from dicom_node.domain.values import FilmOutcome, Instance
    from dicom_node.domain.verdicts import Finding
    from dicom_node.ports import Clock
    from models.reading import ModelIdentity

_FILMS, _JOBS, _SHADOW = schema.instances, schema.jobs, schema.shadow_readings
#: So many faults in a row, all of the last day, and the candidate is left alone.
_MOST_FAULTS, _FAULT_DAYS = 3, 1


class ShadowTable:
    """The candidate's readings in the database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def next(self, candidate: ModelIdentity) -> Instance | None:
        """The newest film that the candidate has not tried; None while anything waits.

        A film's results have left the node, or a person decides about them.
        """
        with reading(self._engine) as connection:
            if connection.execute(_work_waits()).first() is not None:
                return None
            row = connection.execute(_untried(candidate.digest)).mappings().first()
        return None if row is None else instance_of(row)

    def begin(self, candidate: ModelIdentity, film: Instance) -> None:
        """Record the try before it is made: a film that ends the process is not tried again."""
        learned = candidate.learned_before
        with writing(self._engine) as connection:
            connection.execute(
                insert(_SHADOW).values(
                    sop_instance_uid=film.sop_instance_uid,
                    model_digest=candidate.digest,
                    model_version=candidate.version,
                    learned_before=learned and learned.isoformat(),
                    begun_at=self._clock(),
                )
            )

    def finish(self, candidate: ModelIdentity, film: Instance, outcome: FilmOutcome) -> None:
        """Store what the candidate made of the film, and write FILM_SHADOWED.

        Another machine may have taken it for lost meanwhile; it was not.
        """
        refusal, now = outcome.refusal, self._clock()
        summary = outcome.reading.as_json() if outcome.reading else None
        detail = _named(candidate) | (
            {"pneumonia": summary["pneumonia"]}
            if summary
            else {"refusal": refusal and refusal.code}
        )
        with writing(self._engine) as connection:
            connection.execute(
                _try(candidate, film).values(
                    read_at=now,
                    summary=summary,
                    refusal_code=refusal and refusal.code.value,
                    fault=None,
                )
            )
            audit.write(connection, now, [_event(AuditKind.FILM_SHADOWED, film, detail)])

    def fail(self, candidate: ModelIdentity, film: Instance, reason: str) -> None:
        """Store why the candidate could not read the film, and write SHADOW_FAILED."""
        with writing(self._engine) as connection:
            connection.execute(_try(candidate, film).values(fault=reason))
            event = _event(AuditKind.SHADOW_FAILED, film, _named(candidate) | {"reason": reason})
            audit.write(connection, self._clock(), [event])

    def recover(self, candidate: ModelIdentity) -> int:
        """Record as failed what an earlier process began and did not end; how many films."""
        reason = "the worker ended while the candidate read this film"
        begun = and_(
            _SHADOW.c.model_digest == candidate.digest,
            _SHADOW.c.read_at.is_(None),
            _SHADOW.c.fault.is_(None),
        )
        with writing(self._engine) as connection:
            films = connection.execute(select(_SHADOW.c.sop_instance_uid).where(begun)).scalars()
            lost = films.all()
            connection.execute(update(_SHADOW).where(begun).values(fault=reason))
            events = [
                AuditEvent(
                    kind=AuditKind.SHADOW_FAILED,
                    sop_instance_uid=uid,
                    detail=_named(candidate) | {"reason": reason},
                )
                for uid in lost
            ]
            audit.write(connection, self._clock(), events)
        return len(lost)

    def is_broken(self, candidate: ModelIdentity) -> bool:
        """Whether the candidate's last tries failed, all of them within a day."""
        tries = (
            select(_SHADOW.c.fault, _SHADOW.c.begun_at)
            .where(_SHADOW.c.model_digest == candidate.digest)
            .order_by(desc(_SHADOW.c.begun_at), desc(_SHADOW.c.sop_instance_uid))
            .limit(_MOST_FAULTS)
        )
        since = self._clock() - timedelta(days=_FAULT_DAYS)
        with reading(self._engine) as connection:
            last = connection.execute(tries).all()
        return len(last) == _MOST_FAULTS and all(
            fault is not None and begun_at >= since for fault, begun_at in last
        )

    def latest(self) -> Candidate | None:
        """The candidate that read last; None if none ever did."""
        query = select(_SHADOW).order_by(desc(_SHADOW.c.begun_at)).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        learned = row["learned_before"]
        return Candidate(
            version=row["model_version"],
            digest=row["model_digest"],
            learned_before=date.fromisoformat(learned) if learned else None,
        )

    def pairs(
        self,
        candidate: Candidate,
        verdicts: Mapping[str, Finding],
        since: datetime | None = None,
    ) -> Pairs:
        """The studies that both the version in use and a candidate have read.

        Only readings by the version in use count, that of the latest reading. Studies the candidate
        may have learned from are left out: of films taken before `Candidate.learned_before`, of
        unknown date, or of a patient with such a study.
        """
        return shadow_pairs(self._engine, candidate, verdicts, since)

    def films(self, since: datetime | None, learned_before: date | None) -> list[Row]:
        """Films that were read and that a version has not learned from, with their readings."""
        return new_films(self._engine, with_readings(since), learned_before)


def _work_waits() -> Select[Any]:
    """A film that is to be read, or a reading that is under way."""
    at_work = (JobStatus.WAITING, JobStatus.RUNNING)
    return (
        select(_FILMS.c.sop_instance_uid)
        .outerjoin(_JOBS, _JOBS.c.id == _FILMS.c.job_id)
        .where(
            _FILMS.c.decision == UNDECIDED,
            or_(_FILMS.c.job_id.is_(None), _JOBS.c.status.in_(at_work)),
        )
        .limit(1)
    )


def _untried(digest: str) -> Select[Any]:
    deliveries = schema.deliveries
    on_the_way = exists().where(
        deliveries.c.study_instance_uid == _FILMS.c.study_instance_uid,
        deliveries.c.status.in_(
            (DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.SENT)
        ),
    )
    tried = exists().where(
        _SHADOW.c.sop_instance_uid == _FILMS.c.sop_instance_uid, _SHADOW.c.model_digest == digest
    )
    return (
        select(_FILMS)
        .where(_FILMS.c.decision == READ, ~on_the_way, ~tried)
        .order_by(desc(_FILMS.c.received_at), _FILMS.c.sop_instance_uid)
        .limit(1)
    )


def _try(candidate: ModelIdentity, film: Instance) -> Any:
    return update(_SHADOW).where(
        _SHADOW.c.sop_instance_uid == film.sop_instance_uid,
        _SHADOW.c.model_digest == candidate.digest,
    )


def _named(candidate: ModelIdentity) -> dict[str, object]:
    return {"version": candidate.version, "digest": candidate.digest}


def _event(kind: AuditKind, film: Instance, detail: dict[str, object]) -> AuditEvent:
    return AuditEvent(
        kind=kind,
        study_instance_uid=film.study_instance_uid,
        sop_instance_uid=film.sop_instance_uid,
        detail=detail,
    )
