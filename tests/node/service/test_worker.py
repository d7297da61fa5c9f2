"""The job runner: what it does with a job, with an error, with a lease it lost."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.fakes import reading_summary

from dicom_node.config import Config
from dicom_node.domain.values import (
    FilmOutcome,
    Instance,
    Job,
    Refusal,
    RefusalCode,
    Result,
)
from dicom_node.errors import LeaseLost
from dicom_node.service.worker import Worker, attempt_folder
from dicom_node.store.folders import results_folder

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass
class OneJob:
    """A queue with one job in it, which remembers how that ended."""

    job: Job | None
    lease_lost: bool = False
    finished: list[FilmOutcome] = field(default_factory=list)
    destinations: Sequence[str] = ()
    failed: list[tuple[str, datetime | None]] = field(default_factory=list)
    divided: list[Job] = field(default_factory=list)

    def claim(self, owner: str, lease_until: datetime) -> Job | None:
        job, self.job = self.job, None
        return job

    def finish(
        self, job: Job, outcomes: Sequence[FilmOutcome], destinations: Mapping[str, str]
    ) -> None:
        if self.lease_lost:
            raise LeaseLost
        self.finished += outcomes
        self.destinations = list(destinations)

    def renew(self, job: Job, lease_until: datetime) -> None:
        if self.lease_lost:
            raise LeaseLost

    def split(self, job: Job) -> None:
        self.divided.append(job)

    def fail(self, job: Job, reason: str, due_at: datetime | None) -> None:
        if self.lease_lost:
            raise LeaseLost
        self.failed.append((reason, due_at))

    def next_quiet(self, quiet_before: datetime) -> datetime | None:
        return None

    def open_ready(self, quiet_before: datetime, overdue_before: datetime | None = None) -> int:
        return 0


class ScriptedPipeline:
    """Answers with the outcome, or the error, it was given."""

    def __init__(self, answer: FilmOutcome | Exception) -> None:
        self.answer = answer
        self.read_paths: list[Path] = []
        self.calls: list[dict[str, object]] = []

    def read(self, path: Path, out: Path, **settings: object) -> FilmOutcome:
        self.read_paths.append(path)
        self.calls.append(settings)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


RESULT = Result(
    sop_instance_uid="2.25.5",
    sop_class_uid="1.2",
    series_instance_uid="2.25.6",
    modality="SR",
    series_description="AI",
    path=Path("2.25.5.dcm"),
)
READ = FilmOutcome(
    sop_instance_uid="1.2.3", refusal=None, reading=reading_summary(), results=(RESULT,)
)
REFUSED = FilmOutcome(
    sop_instance_uid="",
    refusal=Refusal(code=RefusalCode.FILE, reason="not a DICOM file"),
    reading=None,
)


def _job(attempt: int = 1) -> Job:
    instance = Instance(
        sop_instance_uid="1.2.3",
        sop_class_uid="1.2",
        study_instance_uid="1.9",
        series_instance_uid="1.8",
        transfer_syntax_uid="1.2.840.10008.1.2",
        path=Path("spool/instances/ab/film.dcm"),
        size=1,
        sha256="0" * 64,
        calling_ae_title="CT",
        received_at=NOW,
    )
    return Job(
        id=1,
        study_instance_uid="1.9",
        revision=1,
        attempt=attempt,
        lease="l",
        instances=(instance,),
    )


def _worker(jobs: OneJob, answer: FilmOutcome | Exception = READ) -> Worker:
    config = Config.model_validate(
        {
            "node": {"data_dir": "/data"},
            "destinations": [{"name": "pacs", "ae_title": "P", "host": "h", "port": 1}],
            "workers": {"max_attempts": 3},
        }
    )
    return Worker(
        owner="worker-1",
        config=config,
        jobs=jobs,
        pipeline=ScriptedPipeline(answer),  # type: ignore[arg-type]
        clock=lambda: NOW,
    )


def test_a_study_is_read_and_its_results_go_to_every_destination() -> None:
    """The outcome names paths below the data folder, and the outbox gets the destinations."""
    jobs = OneJob(_job())
    assert _worker(jobs).step()
    (outcome,) = jobs.finished
    assert outcome.results[0].path == attempt_folder(_job()) / "2.25.5.dcm"
    assert jobs.destinations == ["pacs"]


def test_the_pipeline_gets_the_revision_and_its_predecessors() -> None:
    """The film's own earlier report is its predecessor; another film's report is not."""
    earlier = {_job().instances[0].sop_instance_uid: (RESULT,), "1.2.99": (RESULT,)}
    key = _job().instances[0].sop_instance_uid
    contested = frozenset({key, "1.2.99"})
    job = replace(_job(), revision=2, predecessors=earlier, contested=contested)
    worker = _worker(OneJob(job))
    worker.step()
    calls = worker.pipeline.calls  # type: ignore[attr-defined]
    known = {"revision": 2, "predecessors": (RESULT,), "earlier": (), "contested": True}
    assert calls == [{**known, "key": key, "sender": "CT"}]


def test_a_file_without_a_uid_keeps_the_uid_it_was_received_under() -> None:
    """What the file no longer says, the row still knows."""
    jobs = OneJob(_job())
    _worker(jobs, REFUSED).step()
    assert jobs.finished[0].sop_instance_uid == "1.2.3"


def test_nothing_to_do_is_said_so() -> None:
    """An empty queue is not an error."""
    assert not _worker(OneJob(None)).step()


def test_an_unexpected_error_is_recorded_and_tried_again_later() -> None:
    """The reason names type and place, never the message, which may quote a patient."""
    jobs = OneJob(_job(attempt=2))
    _worker(jobs, ValueError("Doe^John")).step()
    ((reason, due_at),) = jobs.failed
    assert "ValueError" in reason
    assert "Doe" not in reason
    assert due_at is not None
    assert due_at > NOW


def test_the_last_attempt_parks_the_study() -> None:
    """After max_attempts no worker tries again by itself."""
    jobs = OneJob(_job(attempt=3))
    _worker(jobs, ValueError()).step()
    assert jobs.failed[0][1] is None


def test_a_study_that_killed_its_worker_each_time_is_parked_unread() -> None:
    """An attempt beyond the last means that the process died; the film is not opened again."""
    jobs = OneJob(_job(attempt=4))
    worker = _worker(jobs)
    worker.step()
    assert jobs.failed[0][1] is None
    assert worker.pipeline.read_paths == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("answer", [READ, ValueError()])
def test_a_lost_lease_drops_the_work_quietly(answer: FilmOutcome | Exception) -> None:
    """The worker that holds the lease does it; the other writes nothing and goes on."""
    jobs = OneJob(_job(), lease_lost=True)
    assert _worker(jobs, answer).step()
    assert (jobs.finished, jobs.failed) == ([], [])


@pytest.mark.parametrize(
    ("answer", "times"),
    [(READ, 1), (REFUSED, 1), (ValueError(), 0)],
    ids=["read", "refused", "error"],
)
def test_a_finished_reading_wakes_the_deliverer(
    answer: FilmOutcome | Exception, times: int
) -> None:
    """Not by a failed one, which has nothing to send."""
    woken: list[int] = []
    worker = replace(_worker(OneJob(_job()), answer), finished=lambda: woken.append(1))
    worker.step()
    assert len(woken) == times


def test_the_worker_waits_for_work_if_there_is_none() -> None:
    """The wait is given to it: new work may end it."""
    stop = threading.Event()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        stop.set()

    replace(_worker(OneJob(None)), wait=wait).run(stop)
    assert len(waits) == 1


def test_the_worker_stops_on_request() -> None:
    """A stop that is already set ends the loop before anything is claimed."""
    stop = threading.Event()
    stop.set()
    jobs = OneJob(_job())
    _worker(jobs).run(stop)
    assert jobs.job is not None


def test_a_results_folder_cannot_be_chosen_by_a_peer() -> None:
    """Whatever stands in a UID, the folder is a digest below `results`."""
    folder = results_folder("../../etc")
    assert folder.parts[0] == "results"
    assert ".." not in folder.parts


def test_the_lease_outlasts_the_reading() -> None:
    """The lease asked for ends workers.lease_seconds from now."""
    asked: list[datetime] = []

    class Watching(OneJob):
        def claim(self, owner: str, lease_until: datetime) -> Job | None:
            asked.append(lease_until)
            return None

    _worker(Watching(None)).step()
    assert asked == [NOW + timedelta(seconds=300)]
