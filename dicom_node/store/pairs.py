"""Films read by two versions, as pairs of studies; and which films a version has not seen."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import select

from dicom_node.domain.conflicts import PatientKey
from dicom_node.domain.evidence import Pairs
from dicom_node.domain.paired import Candidate, Pair, Score
from dicom_node.domain.reading import ReadingSummary
from dicom_node.store import schema
from dicom_node.store.database import reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from sqlalchemy import Connection, Engine, Select

    from dicom_node.domain.reading import Stage
    from dicom_node.domain.verdicts import Finding

_FILMS, _READINGS, _STUDIES = schema.instances, schema.readings, schema.studies
_SHADOW = schema.shadow_readings
Row: TypeAlias = dict[str, Any]  # of `with_readings`
_STAGES: tuple[Stage, ...] = ("pneumonia", "covid19")
_NETWORK_SECONDS = ("lungs", "pneumonia", "covid19", "explain")


def shadow_pairs(
    engine: Engine,
    candidate: Candidate,
    verdicts: Mapping[str, Finding],
    since: datetime | None,
) -> Pairs:
    """The studies that both the version in use and a candidate have read."""
    query = (
        with_readings(since)
        .join(_SHADOW, _SHADOW.c.sop_instance_uid == _FILMS.c.sop_instance_uid)
        .add_columns(_SHADOW.c.summary.label("other"))
        .where(_SHADOW.c.model_digest == candidate.digest, _SHADOW.c.summary.is_not(None))
    )
    films = new_films(engine, query, candidate.learned_before)
    both = [(film, ReadingSummary.from_json(film["other"])) for film in films]
    return paired(
        [(film, other) for film, other in both if _used(film).networks != other.networks],
        verdicts,
    )


def new_films(engine: Engine, query: Select[Any], learned_before: date | None) -> list[Row]:
    """The films of the query that a version cannot have learned from."""
    with reading(engine) as connection:
        rows = connection.execute(query).mappings().all()
        known = _patients_before(connection, learned_before) if learned_before else set()
    return [dict(row) for row in rows if _is_new(row, learned_before, known)]


def paired(both: Sequence[tuple[Row, ReadingSummary]], verdicts: Mapping[str, Finding]) -> Pairs:
    """Films with the other version's readings -> studies, by the version of the latest reading.

    Stage 3 has the studies of a film on which that of both versions ran.
    """
    if not both:
        return Pairs()
    newest = _used(max((film for film, _ in both), key=lambda film: film["read_at"]))
    studies: defaultdict[str, list[tuple[ReadingSummary, ReadingSummary]]] = defaultdict(list)
    for film, other in both:
        if _used(film).networks == newest.networks:
            studies[film["study_instance_uid"]].append((_used(film), other))
    changed = [stage for stage in _STAGES if newest.model_digests.get(stage)
               != both[-1][1].model_digests.get(stage)]  # fmt: skip
    return Pairs(
        pneumonia=_pairs("pneumonia", studies, verdicts),
        covid19=_pairs("covid19", studies, verdicts),
        changed=frozenset(changed or ["pneumonia"]),
    )


def _used(film: Row) -> ReadingSummary:
    return ReadingSummary.from_json(film["used"])


def _pairs(
    stage: Stage,
    studies: Mapping[str, Sequence[tuple[ReadingSummary, ReadingSummary]]],
    verdicts: Mapping[str, Finding],
) -> list[Pair]:
    """Studies with a film on which the stage of both versions ran."""
    found = []
    for study, readings in sorted(studies.items()):
        ran = [both for both in readings if all(each.of(stage) for each in both)]
        if ran:
            used, other = (_score([both[i] for both in ran], stage) for i in (0, 1))
            ill = verdicts[study].is_ill(stage) if study in verdicts else None
            found.append(Pair(study_instance_uid=study, used=used, other=other, ill=ill))
    return found


def _score(films: Sequence[ReadingSummary], stage: Stage) -> Score:
    """A study's score: that of the film with the highest one."""
    said = [found for film in films if (found := film.of(stage)) is not None]
    return Score(
        probability=max(each.probability for each in said),
        positive=any(each.positive for each in said),
        seconds=sum(film.seconds.get(name, 0.0) for film in films for name in _NETWORK_SECONDS),
    )


def with_readings(since: datetime | None) -> Select[Any]:
    """Films that were read and received since that time, oldest first, with their readings."""
    query = (
        select(
            _FILMS.c.study_instance_uid,
            _FILMS.c.sop_instance_uid,
            _FILMS.c.path,
            _FILMS.c.calling_ae_title,
            _STUDIES.c.patient_key,
            _READINGS.c.read_at,
            _READINGS.c.film_date,
            _READINGS.c.summary.label("used"),
        )
        .join(_READINGS, _READINGS.c.sop_instance_uid == _FILMS.c.sop_instance_uid)
        .join(_STUDIES, _STUDIES.c.study_instance_uid == _FILMS.c.study_instance_uid)
        .order_by(_FILMS.c.received_at, _FILMS.c.sop_instance_uid)
    )
    return query if since is None else query.where(_FILMS.c.received_at >= since)


def _patients_before(connection: Connection, day: date) -> set[str]:
    """Patients with a film taken before this day, by the digest of their number."""
    query = (
        select(_STUDIES.c.patient_key)
        .join(_FILMS, _FILMS.c.study_instance_uid == _STUDIES.c.study_instance_uid)
        .join(_READINGS, _READINGS.c.sop_instance_uid == _FILMS.c.sop_instance_uid)
        .where(_READINGS.c.film_date < day.isoformat(), _STUDIES.c.patient_key.is_not(None))
    )
    return {PatientKey.number_in(key) for key in connection.execute(query).scalars()} - {""}


def _is_new(film: Mapping[Any, Any], learned_before: date | None, known: set[str]) -> bool:
    if learned_before is None:
        return True
    taken = film["film_date"]
    return (
        taken is not None
        and taken >= learned_before.isoformat()
        and PatientKey.number_in(film["patient_key"]) not in known
    )
