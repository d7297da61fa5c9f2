"""A process paused past its lease writes and sends nothing more when it wakes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.answers import answer
from support.fakes import SC, StoreHarness, full, read

from dicom_node.config import Config
from dicom_node.deliver.retry import RetryPolicy
from dicom_node.deliver.shipment import Deliverer
from dicom_node.dicom.blobs import Folder
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.values import Answer, FilmOutcome, Job, Shipment
from dicom_node.errors import LeaseLost
from dicom_node.service.worker import Worker, attempt_folder

LEASE = 60.0
LONG = 3600.0
NOTHING: Callable[[], object] = lambda: None  # noqa: E731


def sleep_past_the_lease(node: StoreHarness) -> None:
    """Another process notices, and gives the work to the next that asks."""
    node.clock.tick(LONG)
    assert node.store.release() > 0


@dataclass
class Claims:
    """A store's table whose claim is followed by something else before the claimer goes on."""

    table: Any
    then: Callable[[], object]

    def claim(self, owner: str, lease_until: datetime, *only: str | None) -> Any:
        claimed = self.table.claim(owner, lease_until, *only)
        if claimed is not None:
            self.then()
        return claimed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)


@dataclass
class Composer:
    """A pipeline that writes two objects; between them something else happens."""

    between: Callable[[], object] = NOTHING

    def read(self, path: Path, out: Path, **_: object) -> FilmOutcome:
        outcome = read(f"1.2.{path.stem.split('.')[-1]}")
        results = tuple(replace(result, path=Path(result.path.name)) for result in outcome.results)
        out.mkdir(parents=True, exist_ok=True)
        for number, result in enumerate(results):
            (out / result.path).write_bytes(b"object")
            if number == 0:
                self.between()
        return replace(outcome, results=results)


def worker(
    node: StoreHarness, folder: Path, owner: str, composer: Composer, jobs: Any = None
) -> Worker:
    config = Config.model_validate(
        {
            "node": {"data_dir": str(folder)},
            "destinations": [{"name": "pacs", "ae_title": "P", "host": "h", "port": 1}],
            "workers": {"lease_seconds": LEASE},
        }
    )
    return Worker(
        owner=owner,
        config=config,
        jobs=jobs or node.store.jobs,
        pipeline=composer,  # type: ignore[arg-type]
        clock=node.clock,
    )


def results_on_disk(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder)) for path in (folder / "results").rglob("*") if path.is_file()
    }


def results_in_rows(node: StoreHarness) -> set[str]:
    return {row["path"] for row in node.rows("results")}


@pytest.mark.parametrize("when", ["just after the claim", "between two objects"])
def test_a_worker_that_wakes_late_leaves_the_others_results_alone(
    node: StoreHarness, tmp_path: Path, when: str
) -> None:
    """The second worker's objects are the ones in the rows, and the only ones on disk."""
    node.receive()
    node.open_ready()

    def pause() -> None:
        sleep_past_the_lease(node)
        assert worker(node, tmp_path, "worker-2", Composer()).step()

    if when == "just after the claim":
        jobs = Claims(node.store.jobs, then=pause)
        assert worker(node, tmp_path, "worker-1", Composer(), jobs).step()
    else:
        assert worker(node, tmp_path, "worker-1", Composer(between=pause)).step()
    [job] = node.rows("jobs")
    assert (job["status"], job["attempt"]) == ("done", 2)
    assert len(results_in_rows(node)) == 2
    assert results_on_disk(tmp_path) == results_in_rows(node)


def test_what_a_dead_attempt_left_is_removed_by_the_next(
    node: StoreHarness, tmp_path: Path
) -> None:
    """Else the disk would fill with objects that no row knows."""
    dead = attempt_folder(node.work())
    (tmp_path / dead).mkdir(parents=True)
    (tmp_path / dead / "2.25.9.dcm").write_bytes(b"half an obj")
    sleep_past_the_lease(node)
    assert worker(node, tmp_path, "worker-2", Composer()).step()
    assert not (tmp_path / dead).exists()
    assert results_on_disk(tmp_path) == results_in_rows(node)


def test_a_worker_holds_its_lease_from_film_to_film(node: StoreHarness, tmp_path: Path) -> None:
    """A study of many films is not taken away from who is reading it."""
    for number in range(1, 5):
        node.receive(number=number)
    node.open_ready()

    def work_slowly() -> None:
        node.clock.tick(LEASE * 0.7)
        assert node.store.release() == 0

    assert worker(node, tmp_path, "worker-1", Composer(between=work_slowly)).step()
    assert node.rows("jobs")[0]["status"] == "done"


@dataclass
class Line:
    """A sender whose destination takes everything; ``answered`` runs before each answer."""

    answered: Callable[[str], object] = lambda _: None
    sent: list[str] = field(default_factory=list)

    def send(
        self,
        destination: str,
        paths: Sequence[Path],
        before_each: Callable[[], None] = lambda: None,
    ) -> Generator[Answer, None, None]:
        for path in paths:
            before_each()
            self.sent.append(path.name)
            self.answered(path.name)
            yield answer(0x0000, "stored")


def deliverer(node: StoreHarness, owner: str, line: Line, outbox: Any = None) -> Deliverer:
    return Deliverer(
        owner=owner,
        outbox=outbox or node.store.outbox,
        sender=line,
        policy=RetryPolicy(
            first=timedelta(seconds=1), longest=timedelta(seconds=9), max_attempts=9
        ),
        blobs=Folder(Path("/data")),
        lease_seconds=LEASE,
        clock=node.clock,
        jitter=lambda: 0.0,
    )


@pytest.fixture
def finished(node: StoreHarness) -> StoreHarness:
    """Two objects wait for the PACS."""
    node.finish(node.work(), "pacs")
    return node


def statuses(node: StoreHarness) -> list[str]:
    return [row["status"] for row in node.rows("deliveries")]


def test_a_deliverer_that_wakes_before_its_first_object_sends_none(finished: StoreHarness) -> None:
    """The second one has sent everything; each object came once."""
    line = Line()

    def pause() -> None:
        sleep_past_the_lease(finished)
        deliverer(finished, "deliverer-2", line).deliver_due()

    outbox = Claims(finished.store.outbox, then=pause)
    deliverer(finished, "deliverer-1", line, outbox).deliver_due()
    assert len(line.sent) == len(set(line.sent)) == 2
    assert statuses(finished) == ["accepted", "accepted"]
    assert finished.kinds().count(AuditKind.DELIVERY_BEGUN) == 1


def test_a_delivery_that_begins_says_so_once_before_its_first_object(
    finished: StoreHarness,
) -> None:
    """How many objects of each class are meant to go; each has its own answer."""
    begun = []

    def look(_: str) -> None:
        begun.append(finished.kinds().count(AuditKind.DELIVERY_BEGUN))

    deliverer(finished, "deliverer-1", Line(answered=look)).deliver_due()
    assert begun == [1, 1]
    [line] = [
        line for line in finished.store.audit.tail(9) if line.event.kind is AuditKind.DELIVERY_BEGUN
    ]
    assert line.event.study_instance_uid == "1.2"
    assert line.event.detail == {"destination": "pacs", "objects": {SC: 2}, "connecting": 0.0}


def test_a_deliverer_that_wakes_between_two_objects_sends_no_more(finished: StoreHarness) -> None:
    """The other does not send again what was written down, and it alone sends the rest."""
    second = Line()

    @dataclass
    class PausesAfterTheFirst(Line):
        def send(
            self,
            destination: str,
            paths: Sequence[Path],
            before_each: Callable[[], None] = lambda: None,
        ) -> Generator[Answer, None, None]:
            yield from super().send(destination, paths[:1], before_each)
            sleep_past_the_lease(finished)
            deliverer(finished, "deliverer-2", second).deliver_due()
            yield from super().send(destination, paths[1:], before_each)
            raise AssertionError("it was allowed to send")

    first = PausesAfterTheFirst()
    deliverer(finished, "deliverer-1", first).deliver_due()
    assert (len(first.sent), len(second.sent)) == (1, 1)
    assert set(first.sent).isdisjoint(second.sent)
    assert statuses(finished) == ["accepted", "accepted"]


def test_an_answer_lost_before_it_is_stored_costs_one_object_sent_again(
    finished: StoreHarness,
) -> None:
    """DICOM has no other way: the same bytes under the same UID. The late one writes nothing."""
    second = Line()

    def pause(_: str) -> None:
        sleep_past_the_lease(finished)
        deliverer(finished, "deliverer-2", second).deliver_due()

    first = Line(answered=pause)
    deliverer(finished, "deliverer-1", first).deliver_due()
    assert len(first.sent) == 1
    assert len(second.sent) == 2
    accepted = [kind for kind in finished.kinds() if kind == "delivery-accepted"]
    assert len(accepted) == 2
    assert finished.store.audit.verify() == []


def test_a_deliverer_holds_its_lease_from_object_to_object(finished: StoreHarness) -> None:
    """A slow line does not make the study look abandoned."""

    def crawl(_: str) -> None:
        finished.clock.tick(LEASE * 0.7)
        assert finished.store.release() == 0

    line = Line(answered=crawl)
    deliverer(finished, "deliverer-1", line).deliver_due()
    assert len(line.sent) == 2


def test_no_write_about_work_is_taken_from_who_lost_it(node: StoreHarness) -> None:
    """Finish, fail, renew and settle each show the lease, and each is turned away."""
    job: Job = node.work()
    sleep_past_the_lease(node)
    node.finish(node.claim("worker-2"), "pacs")
    before = node.dump()
    until = node.clock.after(LEASE)
    outcomes = [read(film.sop_instance_uid) for film in job.instances]
    writes: list[Callable[[], object]] = [
        lambda: node.store.jobs.finish(job, outcomes, full("pacs")),
        lambda: node.store.jobs.fail(job, "why", None),
        lambda: node.store.jobs.renew(job, until),
    ]
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    assert node.dump() == before

    shipment = node.store.outbox.claim("deliverer-1", until)
    assert isinstance(shipment, Shipment)
    sleep_past_the_lease(node)
    with pytest.raises(LeaseLost):
        node.store.outbox.renew(shipment, until)
