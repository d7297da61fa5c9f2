"""What the command line shows: the list of studies, and everything about one.

Rows are dicts by column name; times are aware datetimes. The counts of `dicom-node status` are in
`dicom_node.store.status`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from sqlalchemy import case, desc, func, or_, select

from dicom_node.domain.audit import AuditKind
from dicom_node.domain.reading import ReadingSummary, Side
from dicom_node.domain.states import DeliveryStatus, JobStatus
from dicom_node.store import schema
from dicom_node.store.audit import AuditLog, as_json
from dicom_node.store.database import reading
from dicom_node.store.figures import Group, figures
from dicom_node.store.inbox import UNDECIDED
from dicom_node.store.labelled import LabelledFilm, labelled_films
from dicom_node.store.outcomes import READ, REFUSED
from dicom_node.store.search import EVERY, StudyFilter, matching

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Select, Table

    from dicom_node.domain.reading import Grouping
    from dicom_node.domain.verdicts import Finding
    from dicom_node.ports import Clock


#: A study of which every object was kept beside another one, or refused.
_UNKNOWN_STUDY: dict[str, Any] = {
    "first_received_at": None,
    "last_received_at": None,
    "revision": 0,
}


class Queries:
    """What an administrator may ask for."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._audit = AuditLog(engine, clock)

    def studies(self, limit: int, which: StudyFilter = EVERY) -> list[dict[str, Any]]:
        """The latest studies, newest first: senders, result, counts of instances and deliveries."""
        with reading(self._engine) as connection:
            rows = connection.execute(_studies(limit, which)).mappings().all()
            return [{**row, **_work(connection, row["study_instance_uid"])} for row in rows]

    def uids_from(self, prefix: str, limit: int) -> list[str]:
        """Study Instance UIDs that begin with these characters, at most ``limit``."""
        uid = schema.studies.c.study_instance_uid
        query = select(uid).where(uid.startswith(prefix, autoescape=True)).order_by(uid)
        with reading(self._engine) as connection:
            return list(connection.execute(query.limit(limit)).scalars())

    def uids_of_accession(self, key: str, limit: int) -> list[str]:
        """Study Instance UIDs by `dicom_node.domain.conflicts.accession_key`."""
        table = schema.studies.c
        query = select(table.study_instance_uid).where(table.accession_key == key)
        with reading(self._engine) as connection:
            ordered = query.order_by(table.study_instance_uid).limit(limit)
            return list(connection.execute(ordered).scalars())

    def figures(self, by: Grouping, since: datetime | None) -> dict[str, Group]:
        """Return films, results and delays by group, for films received since that time."""
        return figures(self._engine, by, since)

    def received(self, study_instance_uid: str) -> dict[str, int]:
        """Return how many instances each series of the study has here, by Series Instance UID."""
        table = schema.instances.c
        query = select(table.series_instance_uid, func.count()).where(
            table.study_instance_uid == study_instance_uid
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.group_by(table.series_instance_uid))
            return {series: count for series, count in rows}

    def was_here(self, study_instance_uid: str) -> bool:
        """Whether the study was fetched by a backfill, removed or erased before."""
        kinds = (AuditKind.BACKFILL_FETCHED, AuditKind.STUDY_REMOVED, AuditKind.STUDY_ERASED)
        line = schema.audit.c
        query = select(line.sequence).where(
            line.study_instance_uid == study_instance_uid, line.kind.in_(kinds)
        )
        with reading(self._engine) as connection:
            return connection.execute(query.limit(1)).first() is not None

    def waiting_films(self) -> int:
        """Return how many instances wait to be read, without those that wait for a person."""
        films, jobs = schema.instances, schema.jobs
        query = (
            select(func.count())
            .select_from(films.outerjoin(jobs, jobs.c.id == films.c.job_id))
            .where(
                films.c.decision == UNDECIDED,
                or_(jobs.c.id.is_(None), jobs.c.status != JobStatus.PARKED),
            )
        )
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def film_of(self, study_instance_uid: str) -> Path | None:
        """A film of the study, relative to the data folder; None if there is none."""
        films = schema.instances.c
        query = select(films.path).where(films.study_instance_uid == study_instance_uid).limit(1)
        with reading(self._engine) as connection:
            path = connection.execute(query).scalar()
        return None if path is None else Path(path)

    def films(self) -> dict[str, list[Path]]:
        """Files below the data folder by Study Instance UID, of every instance of every study."""
        films: dict[str, list[Path]] = {}
        query = select(schema.instances.c.study_instance_uid, schema.instances.c.path)
        with reading(self._engine) as connection:
            for study, path in connection.execute(query):
                films.setdefault(study, []).append(Path(path))
        return films

    def labelled(self, verdicts: Mapping[str, Finding]) -> list[LabelledFilm]:
        """Films of studies with a verdict, the oldest first."""
        return labelled_films(self._engine, verdicts)

    def study_detail(self, study_instance_uid: str) -> dict[str, Any] | None:
        """Everything about one study, or None if it was never received."""
        with reading(self._engine) as connection:
            study = _rows(connection, schema.studies, study_instance_uid)
            conflicts = _conflicts(connection, study_instance_uid)
            if not study and not conflicts:
                return None
            detail = {
                **(_without_key(study[0]) if study else _UNKNOWN_STUDY),
                "study_instance_uid": study_instance_uid,
                "conflicts": conflicts,
                "instances": _rows(connection, schema.instances, study_instance_uid),
                "jobs": _rows(connection, schema.jobs, study_instance_uid),
                "results": _rows(connection, schema.results, study_instance_uid),
            }
            summaries = _summaries(connection, study_instance_uid)
            deliveries = _rows(connection, schema.deliveries, study_instance_uid)
        for instance in detail["instances"]:
            instance["reading"] = summaries.get(instance["sop_instance_uid"])
        for result in detail["results"]:
            result["deliveries"] = [
                delivery
                for delivery in deliveries
                if delivery["sop_instance_uid"] == result["sop_instance_uid"]
            ]
        detail["audit"] = [as_json(record) for record in self._audit.of_study(study_instance_uid)]
        return detail


def _studies(limit: int, which: StudyFilter) -> Select[Any]:
    instances = schema.instances.c
    latest = (
        select(schema.studies)
        .where(matching(which))
        .order_by(desc(schema.studies.c.last_received_at))
        .limit(limit)
        .subquery()
    )
    return (
        select(
            latest.c.study_instance_uid,
            latest.c.first_received_at,
            latest.c.last_received_at,
            latest.c.revision,
            func.count(instances.sop_instance_uid).label("instances"),
            func.sum(case((instances.decision == READ, 1), else_=0)).label("read"),
            func.sum(case((instances.decision == REFUSED, 1), else_=0)).label("refused"),
        )
        .join(schema.instances, instances.study_instance_uid == latest.c.study_instance_uid)
        .group_by(*latest.c)
        .order_by(desc(latest.c.last_received_at), latest.c.study_instance_uid)
    )


def _work(connection: Connection, study_instance_uid: str) -> dict[str, Any]:
    """Who sent it, what came out, the newest job's status, and how many deliveries are where."""
    jobs, deliveries, instances = schema.jobs.c, schema.deliveries.c, schema.instances.c
    senders = connection.execute(
        select(instances.calling_ae_title)
        .where(instances.study_instance_uid == study_instance_uid)
        .distinct()
        .order_by(instances.calling_ae_title)
    ).scalars()
    status = connection.execute(
        select(jobs.status)
        .where(jobs.study_instance_uid == study_instance_uid)
        .order_by(desc(jobs.revision))
        .limit(1)
    ).scalar()
    counted = connection.execute(
        select(deliveries.status, func.count())
        .where(deliveries.study_instance_uid == study_instance_uid)
        .group_by(deliveries.status)
    ).all()
    sides = {each.pneumonia.side for each in _summaries(connection, study_instance_uid).values()}
    return {
        "senders": list(senders),
        "result": next((side for side in get_args(Side) if side in sides), None),
        "job": status,
        "deliveries": {DeliveryStatus(name).value: count for name, count in counted},
    }


def _rows(connection: Connection, table: Table, study_instance_uid: str) -> list[dict[str, Any]]:
    query = select(table).where(table.c.study_instance_uid == study_instance_uid)
    return [dict(row) for row in connection.execute(query).mappings()]


def _without_key(study: dict[str, Any]) -> dict[str, Any]:
    """A study without the digests of its patient and accession number: for the node alone."""
    return {name: value for name, value in study.items() if not name.endswith("_key")}


def _conflicts(connection: Connection, study_instance_uid: str) -> list[dict[str, Any]]:
    """Conflicts of objects of the study, whichever of the two belongs to it."""
    table = schema.conflicts
    concerned = or_(
        table.c.study_instance_uid == study_instance_uid,
        table.c.kept_study_instance_uid == study_instance_uid,
    )
    query = select(table).where(concerned).order_by(table.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _summaries(connection: Connection, study_instance_uid: str) -> dict[str, ReadingSummary]:
    """The study's readings by SOP Instance UID of the film."""
    query = (
        select(schema.readings.c.sop_instance_uid, schema.readings.c.summary)
        .join(schema.instances)
        .where(schema.instances.c.study_instance_uid == study_instance_uid)
    )
    return {
        row["sop_instance_uid"]: ReadingSummary.from_json(row["summary"])
        for row in connection.execute(query).mappings()
    }
