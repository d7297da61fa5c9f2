"""Scores and verdicts of the studies that the node still keeps, for `dicom-node performance`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import desc, select

from dicom_node.domain.conflicts import PatientKey
from dicom_node.domain.performance import Case
from dicom_node.domain.reading import ReadingSummary
from dicom_node.store import schema
from dicom_node.store.database import reading
from dicom_node.store.pairs import with_readings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine, RowMapping

    from dicom_node.domain.reading import By, Stage, StageSummary
    from dicom_node.domain.verdicts import Finding

ALL = "all"
NOT_STATED = "not stated"
_FILMS, _READINGS = schema.instances, schema.readings


def cases(
    engine: Engine,
    verdicts: Mapping[str, Finding],
    stage: Stage,
    by: By | None,
    since: datetime | None,
) -> tuple[str, dict[str, list[Case]]]:
    """The studies read by the networks in use, and those networks' version.

    Scores of different networks are not comparable: only studies read by the networks of the newest
    reading count. Stage 3 has the studies on which it ran.

    Returns
    -------
    version, groups
        Empty if nothing was read; cases by group, in order of its name.
    """
    films = _films(engine, since)
    if not films:
        return "", {}
    newest = max(films, key=lambda each: each[0]["read_at"])[1].networks
    studies: defaultdict[str, list[tuple[RowMapping, StageSummary]]] = defaultdict(list)
    for film, summary in films:
        said = summary.of(stage)
        if summary.networks == newest and said is not None:
            studies[film["study_instance_uid"]].append((film, said))
    groups: defaultdict[str, list[Case]] = defaultdict(list)
    for study, read in studies.items():
        groups[_name(read[0][0], by)].append(_case(study, read, verdicts.get(study), stage))
    return newest[0], dict(sorted(groups.items()))


def networks(engine: Engine) -> tuple[str, dict[str, str]] | None:
    """Version and digests of the networks of the newest reading."""
    newest = select(_READINGS.c.summary).order_by(desc(_READINGS.c.read_at)).limit(1)
    with reading(engine) as connection:
        summary = connection.execute(newest).scalar()
    if summary is None:
        return None
    found = ReadingSummary.from_json(summary)
    return found.model_version, dict(found.model_digests)


def _films(engine: Engine, since: datetime | None) -> list[tuple[RowMapping, ReadingSummary]]:
    query = with_readings(since).add_columns(
        _FILMS.c.received_at, _READINGS.c.modality, _READINGS.c.view, _READINGS.c.decade
    )
    with reading(engine) as connection:
        rows = connection.execute(query).mappings().all()
    return [(row, ReadingSummary.from_json(row["used"])) for row in rows]


def _name(film: RowMapping, by: By | None) -> str:
    if by is None:
        return ALL
    if by == "hour":
        return f"{film['received_at']:%H}"
    if by == "age":
        decade = film["decade"]
        return NOT_STATED if decade is None else f"{decade}-{decade + 9}"
    column = "calling_ae_title" if by == "ae" else by
    return str(film[column] or NOT_STATED)


def _case(
    study: str,
    read: Sequence[tuple[RowMapping, StageSummary]],
    finding: Finding | None,
    stage: Stage,
) -> Case:
    return Case(
        patient=PatientKey.number_in(read[0][0]["patient_key"]) or study,
        probability=max(said.probability for _, said in read),
        positive=any(said.positive for _, said in read),
        ill=None if finding is None else finding.is_ill(stage),
        study=study,
    )
