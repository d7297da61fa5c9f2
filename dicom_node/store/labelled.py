"""Films with a verdict on their study: what a site's own training learns from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from dicom_node.domain.conflicts import PatientKey
from dicom_node.domain.values import RefusalCode
from dicom_node.store import schema
from dicom_node.store.database import reading
from dicom_node.store.outcomes import READ

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from dicom_node.domain.verdicts import Finding

_FILMS, _READINGS, _STUDIES = schema.instances, schema.readings, schema.studies


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFilm:
    """A stored film, and what was found in its study."""

    sop_instance_uid: str
    path: Path  # relative to node.data_dir
    taken: date  # received, if the header does not say
    patient: str  # digest of the Patient ID; the study if it has none
    finding: Finding


def labelled_films(engine: Engine, verdicts: Mapping[str, Finding]) -> list[LabelledFilm]:
    """Films of studies with a verdict, the oldest first.

    Those that were read, and those refused as unlike the films learned from: what the networks do
    not know is what they must learn.
    """
    query = (
        select(
            _FILMS.c.sop_instance_uid,
            _FILMS.c.study_instance_uid,
            _FILMS.c.path,
            _FILMS.c.received_at,
            _READINGS.c.film_date,
            _STUDIES.c.patient_key,
        )
        .join(_STUDIES, _STUDIES.c.study_instance_uid == _FILMS.c.study_instance_uid)
        .outerjoin(_READINGS, _READINGS.c.sop_instance_uid == _FILMS.c.sop_instance_uid)
        .where(
            or_(_FILMS.c.decision == READ, _FILMS.c.refusal_code == RefusalCode.UNFAMILIAR.value)
        )
    )
    with reading(engine) as connection:
        rows = connection.execute(query).mappings().all()
    found = [
        LabelledFilm(
            sop_instance_uid=row["sop_instance_uid"],
            path=Path(row["path"]),
            taken=_day(row["film_date"]) or row["received_at"].date(),
            patient=PatientKey.number_in(row["patient_key"]) or row["study_instance_uid"],
            finding=verdicts[row["study_instance_uid"]],
        )
        for row in rows
        if row["study_instance_uid"] in verdicts
    ]
    return sorted(found, key=lambda film: (film.taken, film.sop_instance_uid))


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
