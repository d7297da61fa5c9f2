"""Which studies to list: by time, sender, result, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, func, or_

from dicom_node.domain.reading import NEAR, Side
from dicom_node.domain.states import DeliveryStatus, JobStatus
from dicom_node.store import schema
from dicom_node.store.outcomes import REFUSED

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFilter:
    """What a study must have; a field that is None or False asks for nothing.

    Parameters
    ----------
    since
        Its last film was received at this time or later.
    sender
        The calling AE title of one of its films.
    result
        How the pneumonia score of one of its films compares with its cut-off.
    held
        Something waits for a person: a parked reading, or a held or withheld delivery.
    refused
        One of its films was refused.
    """

    since: datetime | None = None
    sender: str | None = None
    result: Side | None = None
    held: bool = False
    refused: bool = False


#: Asks for nothing.
EVERY = StudyFilter()


def matching(which: StudyFilter) -> ColumnElement[bool]:
    """The rows of `studies` that match."""
    study, instances = schema.studies.c, schema.instances.c
    ours = instances.study_instance_uid == study.study_instance_uid
    conditions: list[ColumnElement[bool]] = [study.study_instance_uid.is_not(None)]
    if which.since is not None:
        conditions.append(study.last_received_at >= which.since)
    if which.sender is not None:
        conditions.append(exists().where(ours, instances.calling_ae_title == which.sender))
    if which.refused:
        conditions.append(exists().where(ours, instances.decision == REFUSED))
    if which.result is not None:
        of_film = schema.readings.c.sop_instance_uid == instances.sop_instance_uid
        conditions.append(exists().where(ours, of_film, _on_side(which.result)))
    if which.held:
        conditions.append(_held())
    return and_(*conditions)


def _held() -> ColumnElement[bool]:
    study, jobs, deliveries = schema.studies.c, schema.jobs.c, schema.deliveries.c
    stuck = (DeliveryStatus.HELD, DeliveryStatus.WITHHELD)
    return or_(
        exists().where(
            jobs.study_instance_uid == study.study_instance_uid, jobs.status == JobStatus.PARKED
        ),
        exists().where(
            deliveries.study_instance_uid == study.study_instance_uid,
            deliveries.status.in_(stuck),
        ),
    )


def _on_side(result: Side) -> ColumnElement[bool]:
    """As `StageSummary.side`, of the pneumonia stage."""
    stage = schema.readings.c.summary["pneumonia"]
    distance = func.abs(
        func.round(100 * stage["probability"].as_float())
        - func.round(100 * stage["threshold"].as_float())
    )
    if result == "near":
        return distance <= NEAR
    return and_(distance > NEAR, stage["positive"].as_boolean() == (result == "above"))
