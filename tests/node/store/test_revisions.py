"""A study read more than once: which reports came before, and how a person asks for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.fakes import StoreHarness, full, read, reading_summary, refused, result

from dicom_node.domain.audit import AuditKind
from dicom_node.domain.values import CheckFailure, FilmOutcome, Job


def _finish(node: StoreHarness, job: Job, *, withheld: bool = False) -> list[str]:
    """Read the job's films, with a picture and a report each; the reports' UIDs."""
    outcomes = [_outcome(film.sop_instance_uid, job.revision) for film in job.instances]
    if withheld:
        fault = CheckFailure(sop_instance_uid="2.25.1", rule="value", message="odd")
        outcomes = [replace(outcome, faults=(fault,)) for outcome in outcomes]
    node.store.jobs.finish(job, outcomes, full("pacs"))
    return [outcome.results[1].sop_instance_uid for outcome in outcomes]


def _outcome(film: str, revision: int) -> FilmOutcome:
    picture, report = result(film, 2 * revision), result(film, 2 * revision + 1)
    made = (picture, replace(report, modality="SR", series_description="AI report"))
    return replace(read(film), results=made, reading=reading_summary(revision / 10))


def _named(job: Job) -> list[str]:
    return [each.sop_instance_uid for reports in job.predecessors.values() for each in reports]


def test_the_first_reading_has_no_predecessor_and_a_later_one_has_the_reports_by_film(
    node: StoreHarness,
) -> None:
    """Reports only, not the pictures; and only those of the same study."""
    first = node.work("1.2", number=1)
    assert first.predecessors == {}
    reports = _finish(node, first)
    _finish(node, node.work("1.3", number=1))
    late = node.work("1.2", number=2)
    assert (late.revision, _named(late)) == (2, reports)
    assert list(late.predecessors) == ["1.2.1"]
    assert {each.modality for reports in late.predecessors.values() for each in reports} == {"SR"}


def test_a_study_is_read_again_with_every_film_that_was_read(node: StoreHarness) -> None:
    """A new revision; the newest report of each film is its predecessor, older ones are not."""
    _finish(node, node.work(number=1))
    _finish(node, node.work(number=2))
    assert node.store.jobs.reread("1.2") == 2
    again = node.claim()
    assert (again.revision, again.attempt) == (3, 1)
    assert [film.sop_instance_uid for film in again.instances] == ["1.2.1", "1.2.2"]
    node.clock.tick()
    reports = _finish(node, again)
    node.store.jobs.reread("1.2")
    assert _named(node.claim()) == reports


def test_what_the_new_revision_says_is_what_is_shown(node: StoreHarness) -> None:
    """The old reading stays in the audit log."""
    _finish(node, node.work())
    node.store.jobs.reread("1.2")
    _finish(node, node.claim())
    (film,) = node.study_detail()["instances"]
    assert (film["decision"], film["reading"].pneumonia.probability) == ("read", 0.2)
    assert node.kinds().count(AuditKind.FILM_READ) == 2


def test_reading_again_is_audited(node: StoreHarness) -> None:
    """The audit log says why there are two revisions."""
    _finish(node, node.work())
    node.store.jobs.reread("1.2")
    assert node.kinds()[-2:] == [AuditKind.STUDY_REREAD, AuditKind.STUDY_READY]


def test_refused_films_stay_refused(node: StoreHarness) -> None:
    """Nothing was read, so there is nothing to read again."""
    node.store.jobs.finish(node.work(), [refused("1.2.1")], full("pacs"))
    before = node.dump()
    assert node.store.jobs.reread("1.2") == 0
    assert node.dump() == before


@pytest.mark.parametrize("running", [False, True])
def test_a_study_at_work_is_not_opened_twice(node: StoreHarness, running: bool) -> None:
    """Neither while its next reading waits nor while it runs."""
    _finish(node, node.work(number=1))
    node.receive(number=2)
    node.open_ready()
    if running:
        node.claim()
    before = node.dump()
    assert node.store.jobs.reread("1.2") == 0
    assert node.dump() == before


def test_a_withheld_report_is_no_predecessor(node: StoreHarness) -> None:
    """No archive knows it; the one before it still stands."""
    reports = _finish(node, node.work())
    node.store.jobs.reread("1.2")
    node.clock.tick()
    _finish(node, node.claim(), withheld=True)
    node.store.jobs.reread("1.2")
    assert _named(node.claim()) == reports


def test_an_unknown_study_is_not_read_again(node: StoreHarness) -> None:
    assert node.store.jobs.reread("1.9") == 0
