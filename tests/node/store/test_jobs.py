"""Which study is read when, and by which worker."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.fakes import START, StoreHarness, full, read, refused, result

from dicom_node.domain.audit import AuditKind
from dicom_node.domain.values import Job
from dicom_node.errors import LeaseLost


def _films(job: Job) -> list[str]:
    return [film.sop_instance_uid for film in job.instances]


def test_a_study_waits_until_it_is_quiet(node: StoreHarness) -> None:
    """While films still come no job is made; then exactly one."""
    node.receive()
    assert node.store.jobs.open_ready(node.clock.after(-1)) == 0
    assert node.store.jobs.open_ready(node.clock.now) == 1
    assert node.store.jobs.open_ready(node.clock.now) == 0
    assert node.kinds()[-1] is AuditKind.STUDY_READY


def test_a_job_is_one_study_with_all_its_films(node: StoreHarness) -> None:
    """Films of another study are another job; the study that waited longest comes first."""
    node.receive("1.2", 1)
    node.receive("1.2", 2)
    node.open_ready()
    node.clock.tick()
    node.receive("1.3", 1)
    node.open_ready()
    first, second = node.claim(), node.claim()
    assert (first.study_instance_uid, _films(first)) == ("1.2", ["1.2.1", "1.2.2"])
    assert (first.revision, first.attempt) == (1, 1)
    assert _films(second) == ["1.3.1"]
    assert node.store.jobs.claim("worker-1", node.clock.after(9)) is None


def test_a_film_that_comes_while_its_job_waits_joins_it(node: StoreHarness) -> None:
    """One reading for both, and no second job."""
    node.receive(number=1)
    node.open_ready()
    node.receive(number=2)
    assert node.open_ready() == 0
    assert _films(node.claim()) == ["1.2.1", "1.2.2"]


def test_a_film_that_comes_while_its_job_runs_makes_a_revision(node: StoreHarness) -> None:
    """The films of a job are fixed when it is claimed; the late one is read next."""
    job = node.work(number=1)
    node.receive(number=2)
    assert node.open_ready() == 0
    node.finish(job)
    assert node.open_ready() == 1
    later = node.claim()
    assert (later.revision, _films(later)) == (2, ["1.2.2"])


def test_finishing_decides_the_films_and_fills_the_outbox(node: StoreHarness) -> None:
    """Decisions, readings, results and a delivery for each destination, in one go."""
    node.receive(number=1)
    node.receive(number=2)
    node.open_ready()
    job = node.claim()
    node.store.jobs.finish(job, [read("1.2.1"), refused("1.2.2")], full("pacs", "research"))
    detail = node.study_detail()
    good, bad = detail["instances"]
    assert (good["decision"], good["refusal_code"]) == ("read", None)
    assert good["reading"].pneumonia.probability == 0.25
    assert (bad["decision"], bad["refusal_code"]) == ("refused", "view")
    assert (bad["refusal_reason"], bad["reading"]) == ("a lateral view", None)
    assert {r["source_sop_instance_uid"] for r in detail["results"]} == {"1.2.1"}
    for composed in detail["results"]:
        assert [d["destination"] for d in composed["deliveries"]] == ["pacs", "research"]
        assert {d["status"] for d in composed["deliveries"]} == {"pending"}
    assert [(j["status"], j["finished_at"]) for j in detail["jobs"]] == [("done", START)]
    assert node.kinds()[3:] == [
        AuditKind.FILM_SELECTED, AuditKind.FILM_READ, AuditKind.OBJECTS_COMPOSED,
        AuditKind.FILM_REFUSED,
    ]  # fmt: skip


def test_the_report_of_a_refusal_is_kept_and_sent_like_any_other(node: StoreHarness) -> None:
    """No reading, but a result with its delivery, and an audit line that names it."""
    job = node.work()
    outcome = replace(refused("1.2.1"), results=(result("1.2.1"),))
    node.store.jobs.finish(job, [outcome], full("pacs"))
    assert node.rows("readings") == []
    (delivery,) = node.rows("deliveries")
    assert (delivery["sop_instance_uid"], delivery["status"]) == ("2.25.1211", "pending")
    assert node.kinds()[-2:] == [AuditKind.FILM_REFUSED, AuditKind.OBJECTS_COMPOSED]
    assert node.store.inbox.is_own_result("2.25.1211")


def test_a_film_left_out_of_the_outcomes_is_an_error(node: StoreHarness) -> None:
    """A job cannot be done with an undecided film."""
    job, before = node.work(), node.dump()
    for outcomes in ([], [read("1.2.9")], [read("1.2.1"), read("1.2.1")]):
        with pytest.raises(ValueError, match="one outcome for each"):
            node.store.jobs.finish(job, outcomes, full())
    assert node.dump() == before


def test_a_failed_reading_is_tried_again_when_it_is_due(node: StoreHarness) -> None:
    """Not before; with the next attempt's number, the same films, and those that came since."""
    job = node.work()
    node.store.jobs.fail(job, "no memory", node.clock.after(10))
    node.receive(number=2)
    assert node.store.jobs.claim("worker-2", node.clock.after(9)) is None
    node.clock.tick(10)
    again = node.claim("worker-2")
    assert (again.id, again.revision, again.attempt) == (job.id, 1, 2)
    assert _films(again) == ["1.2.1", "1.2.2"]
    assert again.lease != job.lease
    assert node.kinds().count(AuditKind.JOB_FAILED) == 1


def test_a_parked_job_waits_for_a_person_while_others_go_on(node: StoreHarness) -> None:
    """It is not claimed; `retry` wakes it with all its attempts ahead."""
    job = node.work("1.2")
    node.store.jobs.fail(job, "the film breaks the decoder", None)
    assert node.open_ready() == 0
    assert node.work("1.3").study_instance_uid == "1.3"
    assert node.store.jobs.retry("1.9") == 0
    assert node.store.jobs.retry("1.2") == 1
    assert node.store.jobs.retry(None) == 0
    assert node.claim().attempt == 1
    assert [k for k in node.kinds() if k.value.startswith("job-")] == [
        AuditKind.JOB_PARKED, AuditKind.JOB_RETRIED,
    ]  # fmt: skip


def test_a_parked_job_keeps_its_films(node: StoreHarness) -> None:
    """A later film is a revision of its own; the parked ones wait for their job."""
    node.store.jobs.fail(node.work(number=1), "no", None)
    later = node.work(number=2)
    assert (later.revision, _films(later)) == (2, ["1.2.2"])
    node.store.jobs.retry("1.2")
    parked = node.claim()
    assert (parked.revision, _films(parked)) == (1, ["1.2.1"])


def test_a_dead_workers_jobs_are_given_back_at_once(node: StoreHarness) -> None:
    """By its name, whatever its lease says; the others keep theirs."""
    job = node.work("1.2")
    node.receive("1.3")
    node.open_ready()
    other = node.claim("worker-2")
    assert node.store.jobs.release("worker-1") == 1
    assert node.claim("worker-3").id == job.id
    node.finish(other)


def test_a_lease_that_ran_out_is_given_back(node: StoreHarness) -> None:
    """A worker that hangs loses its job when its time is over, not before."""
    node.receive()
    node.open_ready()
    node.claim("worker-1", seconds=60)
    node.clock.tick(60)
    assert node.store.jobs.release() == 0
    node.clock.tick(0.001)
    assert node.store.jobs.release() == 1
    assert node.claim("worker-2").attempt == 2


@pytest.mark.parametrize("since", ["released", "claimed again", "done", "parked"])
def test_a_worker_that_lost_its_lease_writes_nothing(node: StoreHarness, since: str) -> None:
    """A paused worker that wakes up changes no row and adds no audit line."""
    late = node.work()
    node.store.jobs.release("worker-1")
    if since != "released":
        now = node.claim("worker-2")
        if since == "done":
            node.finish(now, "pacs")
        elif since == "parked":
            node.store.jobs.fail(now, "no", None)
    before = node.dump()
    with pytest.raises(LeaseLost):
        node.finish(late, "pacs")
    with pytest.raises(LeaseLost):
        node.store.jobs.fail(late, "too late", None)
    assert node.dump() == before


def test_results_that_are_there_already_keep_their_deliveries(node: StoreHarness) -> None:
    """Objects of the same UID composed again are neither doubled nor sent again."""
    node.finish(node.work(), "pacs")
    shipment = node.store.outbox.claim("deliverer-1", node.clock.after(60))
    assert shipment is not None
    results = node.rows("results")
    again = node.work(number=2)
    same = read("1.2.1")  # as if the second film were a copy of the first under another UID
    outcome = type(same)(
        sop_instance_uid="1.2.2", refusal=None, reading=same.reading, results=same.results
    )
    node.store.jobs.finish(again, [outcome], full("pacs"))
    assert node.rows("results") == results
    assert node.store.outbox.claim("deliverer-1", node.clock.after(60)) is None
