"""Earlier readings of a patient, found by the digests of Patient ID and issuer."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import select

from dicom_node.domain.conflicts import PatientKey
from dicom_node.domain.reading import ReadingSummary
from dicom_node.domain.values import EarlierReading
from dicom_node.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection

_STUDIES, _INSTANCES, _READINGS = schema.studies.c, schema.instances.c, schema.readings.c


def earlier_readings(connection: Connection, study_instance_uid: str) -> tuple[EarlierReading, ...]:
    """Readings of the patient's other studies, the oldest film first.

    The Patient ID and its issuer must be the same, and the birth date must not contradict. None
    for a study without Patient ID. Removed and erased studies are not included.
    """
    query = select(_STUDIES.patient_key).where(_STUDIES.study_instance_uid == study_instance_uid)
    key = connection.execute(query).scalar_one_or_none()
    patient = PatientKey.read(key) if key else None
    if patient is None or not patient.number:
        return ()
    rows = connection.execute(
        select(_STUDIES.patient_key, _READINGS.film_date, _READINGS.summary)
        .join(schema.instances, _INSTANCES.study_instance_uid == _STUDIES.study_instance_uid)
        .join(schema.readings, _READINGS.sop_instance_uid == _INSTANCES.sop_instance_uid)
        .where(
            _STUDIES.patient_key.between(f"{patient.number}/", f"{patient.number}0"),
            _STUDIES.study_instance_uid != study_instance_uid,
            _READINGS.film_date.is_not(None),
        )
        .order_by(_READINGS.film_date, _READINGS.sop_instance_uid)
    ).mappings()
    return tuple(
        EarlierReading(
            film_date=date.fromisoformat(row["film_date"]),
            reading=ReadingSummary.from_json(row["summary"]),
        )
        for row in rows
        if _is_same(patient, PatientKey.read(row["patient_key"]))
    )


def _is_same(patient: PatientKey, other: PatientKey) -> bool:
    return patient.issuer == other.issuer and patient.agrees(other)
