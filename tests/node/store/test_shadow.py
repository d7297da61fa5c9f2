"""What the candidate reads, when, and which studies its readings are compared on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from support.fakes import StoreHarness, full, instance, read, reading_summary, store_harness

from dicom_node.domain.audit import AuditKind
from dicom_node.domain.conflicts import PatientKey
from dicom_node.domain.paired import Candidate
from dicom_node.domain.values import FilmOutcome, Refusal, RefusalCode
from dicom_node.domain.verdicts import Finding
from dicom_node.store.pairs import paired
from models.reading import ModelIdentity

CANDIDATE = ModelIdentity(version="2.0.0", digests={"pneumonia": "b" * 64}, h2_variant="cam")
SAME = Candidate(version="2.0.0", digest=CANDIDATE.digest, learned_before=None)
SECRET = b"s" * 32


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StoreHarness]:
    with store_harness(tmp_path) as made:
        yield made


def _read(
    node: StoreHarness, study: str, *destinations: str,
    taken: date | None = None, patient: str = "", score: float = 0.25,
) -> None:  # fmt: skip
    """A film arrives and is read by the version in use."""
    key = PatientKey.of(SECRET, patient, "", "")
    node.store.inbox.add(instance(study, at=node.clock.now), patient=key)
    node.open_ready()
    job = node.claim()
    outcomes = [
        replace(read(film.sop_instance_uid), film_date=taken, reading=reading_summary(score))
        for film in job.instances
    ]
    node.store.jobs.finish(job, outcomes, full(*destinations))


def _shadow(node: StoreHarness, score: float = 0.75) -> str | None:
    """The candidate reads the next film; which study that was."""
    shadow = node.store.shadow
    film = shadow.next(CANDIDATE)
    if film is None:
        return None
    shadow.begin(CANDIDATE, film)
    summary = replace(reading_summary(score), model_version="2.0.0", model_digests={"lungs": "a"})
    shadow.finish(CANDIDATE, film, FilmOutcome(sop_instance_uid="", refusal=None, reading=summary))
    return film.study_instance_uid


def test_a_film_is_read_once_by_the_candidate_after_the_real_reading(node: StoreHarness) -> None:
    """Not before the version in use has read it, and not again."""
    node.receive("1.2")
    assert _shadow(node) is None
    node.open_ready()
    assert _shadow(node) is None
    node.finish(node.claim())
    assert (_shadow(node), _shadow(node)) == ("1.2", None)
    assert AuditKind.FILM_SHADOWED in node.kinds()


def test_a_film_whose_results_have_not_left_waits(node: StoreHarness) -> None:
    """The candidate never comes before a delivery of the study."""
    _read(node, "1.2", "pacs")
    assert _shadow(node) is None
    node.sql("UPDATE deliveries SET status = 'accepted'")
    assert _shadow(node) == "1.2"


def test_nothing_is_read_by_the_candidate_while_a_film_waits(node: StoreHarness) -> None:
    """Another study's film waits for a job or for a worker; a parked job waits for a person."""
    _read(node, "1.2")
    node.receive("1.3")
    assert _shadow(node) is None
    node.open_ready()
    job = node.claim()
    assert _shadow(node) is None
    node.store.jobs.fail(job, "no", None)
    assert _shadow(node) == "1.2"


def test_a_try_that_ended_the_worker_is_recorded_and_not_repeated(node: StoreHarness) -> None:
    """Or a film that kills the worker would kill it again and again."""
    _read(node, "1.2")
    film = node.store.shadow.next(CANDIDATE)
    assert film is not None
    node.store.shadow.begin(CANDIDATE, film)
    assert node.store.shadow.recover(CANDIDATE) == 1
    assert node.store.shadow.next(CANDIDATE) is None
    assert node.kinds()[-1] is AuditKind.SHADOW_FAILED


def test_three_faults_in_a_row_make_a_broken_candidate_for_a_day(node: StoreHarness) -> None:
    """A success in between does not; a day later it is tried again."""
    shadow = node.store.shadow
    for number in range(4):
        _read(node, f"1.{number}")
    for broken in (False, False, True):
        film = shadow.next(CANDIDATE)
        assert film is not None
        node.clock.tick()
        shadow.begin(CANDIDATE, film)
        shadow.fail(CANDIDATE, film, "no")
        assert shadow.is_broken(CANDIDATE) is broken
    node.clock.tick(timedelta(days=2).total_seconds())
    assert not shadow.is_broken(CANDIDATE)
    _shadow(node)
    assert not shadow.is_broken(CANDIDATE)


def test_a_refusal_of_the_candidate_is_stored_and_compares_with_nothing(
    node: StoreHarness,
) -> None:
    """It has no score."""
    _read(node, "1.2")
    film = node.store.shadow.next(CANDIDATE)
    assert film is not None
    node.store.shadow.begin(CANDIDATE, film)
    no = Refusal(code=RefusalCode.UNFAMILIAR, reason="unlike the films learned from")
    refused = FilmOutcome(sop_instance_uid="", refusal=no, reading=None)
    node.store.shadow.finish(CANDIDATE, film, refused)
    assert node.rows("shadow_readings")[0]["refusal_code"] == no.code.value
    assert node.store.shadow.pairs(SAME, {}).pneumonia == ()


def test_studies_are_compared_with_the_verdict(node: StoreHarness) -> None:
    """Both scores, and what the radiologist said."""
    _read(node, "1.2")
    _shadow(node)
    (pair,) = node.store.shadow.pairs(SAME, {"1.2": Finding.COVID19}).pneumonia
    assert (pair.used.probability, pair.other.probability, pair.ill) == (0.25, 0.75, True)
    assert pair.differs
    assert node.store.shadow.latest() == SAME


def test_stage_3_is_compared_where_both_ran_it(node: StoreHarness) -> None:
    """Only the stage whose network is another one has changed."""
    both = {"1.1": (0.2, 0.9), "1.2": (0.3, None), "1.3": (None, 0.9)}
    films = [
        ({"study_instance_uid": study, "read_at": node.clock.now,
          "used": reading_summary(0.9, used).as_json()},
         replace(reading_summary(0.9, other), model_digests={"covid19": "b"}))
        for study, (used, other) in both.items()
    ]  # fmt: skip
    found = paired(films, {"1.1": Finding.PNEUMONIA, "1.2": Finding.COVID19})
    assert len(found.pneumonia) == 3
    (pair,) = found.covid19
    assert (pair.study_instance_uid, pair.ill) == ("1.1", False)
    assert (pair.used.probability, pair.other.probability) == (0.2, 0.9)
    assert found.changed == {"covid19"}


def test_what_the_candidate_may_have_learned_from_is_not_compared(node: StoreHarness) -> None:
    """Films of before, of unknown date, and later films of a patient who was seen before."""
    march, april = date(2026, 3, 1), date(2026, 4, 1)
    _read(node, "1.1", taken=march, patient="A")
    _read(node, "1.2", taken=april, patient="A")
    _read(node, "1.3", taken=april, patient="B")
    _read(node, "1.4", taken=None, patient="C")
    _read(node, "1.5", taken=april)
    while _shadow(node):
        pass
    found = node.store.shadow.pairs(replace(SAME, learned_before=date(2026, 3, 15)), {})
    assert [pair.study_instance_uid for pair in found.pneumonia] == ["1.3", "1.5"]


def test_a_removed_study_leaves_no_reading_of_the_candidate(node: StoreHarness) -> None:
    """Its rows go with it."""
    _read(node, "1.2")
    _shadow(node)
    node.store.retention.erase("1.2", "tester")
    assert node.rows("shadow_readings") == []
