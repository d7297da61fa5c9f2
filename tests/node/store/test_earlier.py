"""Earlier readings of the same patient, found without knowing who the patient is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from support.fakes import StoreHarness, full, instance, read

from dicom_node.domain.conflicts import PatientKey
from dicom_node.domain.values import Job

SECRET = b"s" * 32
TAKEN = date(2026, 10, 2)


def _job(node: StoreHarness, study: str, patient: PatientKey) -> Job:
    node.store.inbox.add(instance(study), patient=patient)
    node.open_ready()
    return node.claim()


def _finish(node: StoreHarness, job: Job, taken: date | None = TAKEN) -> None:
    outcomes = [replace(read(film.sop_instance_uid), film_date=taken) for film in job.instances]
    node.store.jobs.finish(job, outcomes, full("pacs"))


def _patient(number: str = "P1", issuer: str = "HERE", born: str = "19700101") -> PatientKey:
    return PatientKey.of(SECRET, number, issuer, born)


def test_another_study_of_the_patient_knows_the_reading_and_its_date(node: StoreHarness) -> None:
    """By date and score, and nothing else of it."""
    first = _job(node, "1.2", _patient())
    assert first.earlier == ()
    _finish(node, first)
    (earlier,) = _job(node, "1.3", _patient()).earlier
    assert (earlier.film_date, earlier.reading.pneumonia.probability) == (TAKEN, 0.25)


@pytest.mark.parametrize(
    "other",
    [
        _patient("P2"),
        _patient("P10"),
        _patient(issuer="THERE"),
        _patient(issuer=""),
        _patient(born="19700102"),
        _patient(""),
    ],
)
def test_nothing_is_known_of_another_patient(node: StoreHarness, other: PatientKey) -> None:
    """Another number, issuer or birth date; without a number there is no patient."""
    _finish(node, _job(node, "1.2", _patient()))
    assert _job(node, "1.3", other).earlier == ()


def test_two_films_without_a_patient_id_are_not_one_patient(node: StoreHarness) -> None:
    """Nothing says that they are."""
    _finish(node, _job(node, "1.2", _patient("")))
    assert _job(node, "1.3", _patient("")).earlier == ()


def test_a_film_without_a_date_and_an_erased_study_are_not_compared(node: StoreHarness) -> None:
    """Erasing leaves nothing to compare with."""
    _finish(node, _job(node, "1.2", _patient()), taken=None)
    job = _job(node, "1.3", _patient())
    assert job.earlier == ()
    _finish(node, job)
    node.store.retention.erase("1.3", "tester")
    assert _job(node, "1.4", _patient()).earlier == ()
