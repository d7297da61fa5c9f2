"""Shipping with a scripted sender: who is asked, and what is settled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.answers import NOT_ACCEPTED, NOT_SENT, UNAVAILABLE, UNREADABLE, Said, answer
from support.fakes import FakeClock

from dicom_node.deliver.retry import RetryPolicy
from dicom_node.deliver.shipment import Deliverer
from dicom_node.dicom.blobs import Folder
from dicom_node.domain.audit import AuditEvent
from dicom_node.domain.states import DeliveryEvent
from dicom_node.domain.values import Answer, Delivery, Result, Settlement, Shipment
from dicom_node.errors import LeaseLost

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
POLICY = RetryPolicy(first=timedelta(seconds=8), longest=timedelta(seconds=60), max_attempts=4)
DATA = Path("/data")
STORED = (0x0000, "stored")
SILENT = (UNAVAILABLE, "nothing listens")


@dataclass
class Script:
    """A sender that answers by destination, and writes down what it was asked."""

    answers: dict[str, list[tuple[Said, str]]]
    asked: list[tuple[str, tuple[Path, ...]]] = field(default_factory=list)

    def send(
        self,
        destination: str,
        paths: Sequence[Path],
        before_each: Callable[[], None] = lambda: None,
    ) -> Generator[Answer, None, None]:
        self.asked.append((destination, tuple(paths)))
        for said in self.answers[destination][: len(paths)]:
            before_each()
            yield answer(*said)


@dataclass
class Queue:
    """An outbox of shipments that are all due."""

    waiting: list[Shipment]
    settled: dict[str, tuple[Settlement, ...]] = field(default_factory=dict)
    leases: list[datetime] = field(default_factory=list)
    renewed: int = 0
    lost: bool = False
    transactions: list[int] = field(default_factory=list)  # how many each settled

    def claim(
        self, owner: str, lease_until: datetime, destination: str | None = None
    ) -> Shipment | None:
        self.leases.append(lease_until)
        return self.waiting.pop(0) if self.waiting else None

    def due(self) -> list[str]:
        return [each.destination for each in self.waiting]

    def renew(self, shipment: Shipment, lease_until: datetime, *events: AuditEvent) -> None:
        if self.lost:
            raise LeaseLost
        self.renewed += 1

    def settle(self, shipment: Shipment, settlements: Sequence[Settlement]) -> None:
        if self.lost:
            raise LeaseLost
        self.transactions.append(len(settlements))
        before = self.settled.get(shipment.study_instance_uid, ())
        self.settled[shipment.study_instance_uid] = (*before, *settlements)


def shipment(study: str = "1.2", destination: str = "pacs", *attempts: int) -> Shipment:
    deliveries = tuple(
        Delivery(
            id=number,
            attempt=attempt,
            result=Result(
                sop_instance_uid=f"{study}.{number}",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
                series_instance_uid=f"{study}.0",
                modality="OT",
                series_description="heatmaps",
                path=Path(f"results/{study}.{number}.dcm"),
            ),
        )
        for number, attempt in enumerate(attempts or (1, 1), start=1)
    )
    return Shipment(
        study_instance_uid=study, destination=destination, lease="x", deliveries=deliveries
    )


def deliverer(
    queue: Queue,
    sender: Script,
    stopping: threading.Event | None = None,
    jitter: Callable[[], float] = lambda: 0.0,
) -> Deliverer:
    return Deliverer(
        owner="deliverer",
        outbox=queue,
        sender=sender,
        policy=POLICY,
        blobs=Folder(DATA),
        lease_seconds=600,
        clock=lambda: NOW,
        jitter=jitter,
        stopping=stopping or threading.Event(),
    )


def ship(
    one: Shipment, sender: Script, jitter: Callable[[], float] = lambda: 0.0
) -> list[Settlement]:
    """Ship it alone; how each delivery was settled, in the shipment's order."""
    queue = Queue([one])
    deliverer(queue, sender, jitter=jitter).deliver_due()
    return sorted(queue.settled[one.study_instance_uid], key=lambda each: each.delivery_id)


def settle_one(status: Said, attempt: int = 1, jitter: float = 0.0) -> Settlement:
    sender = Script({"pacs": [(status, "why")]})
    [settlement] = ship(shipment("1.2", "pacs", attempt), sender, lambda: jitter)
    return settlement


def test_paths_are_under_the_data_folder() -> None:
    """The sender gets every file of the shipment at once, as a full path."""
    sender = Script({"pacs": [STORED, STORED]})
    ship(shipment(), sender)
    paths = (DATA / "results/1.2.1.dcm", DATA / "results/1.2.2.dcm")
    assert sender.asked == [("pacs", paths)]


def test_accepted() -> None:
    """A stored object is settled as accepted, with the peer's status and no next time."""
    assert settle_one(0xB000) == Settlement(
        delivery_id=1, event=DeliveryEvent.ACCEPTED, status_code=0xB000, reason="why", due_at=None
    )


@pytest.mark.parametrize("status", [UNAVAILABLE, 0xA700, 0x0110])
def test_unavailable(status: Said) -> None:
    """No answer, or "not now", is tried again after the policy's delay."""
    settlement = settle_one(status, attempt=2, jitter=0.5)
    assert settlement.event is DeliveryEvent.UNAVAILABLE
    assert settlement.status_code == (None if status is UNAVAILABLE else status)
    assert settlement.due_at == NOW + timedelta(seconds=14)


@pytest.mark.parametrize(
    ("status", "code"),
    [(0xA900, 0xA900), (0x0124, 0x0124), (NOT_ACCEPTED, None), (UNREADABLE, None)],
)
def test_refused(status: Said, code: int | None) -> None:
    """What the same bytes would meet again is refused at once, at the first attempt."""
    settlement = settle_one(status)
    assert settlement.event is DeliveryEvent.REFUSED
    assert (settlement.status_code, settlement.due_at) == (code, None)


def test_gives_up() -> None:
    """After the last attempt a person must look."""
    settlement = settle_one(UNAVAILABLE, attempt=4)
    assert settlement.event is DeliveryEvent.GAVE_UP
    assert settlement.due_at is None
    assert settlement.reason == "gave up after 4 attempts: why"


def test_each_on_its_own() -> None:
    """One refused object does not keep the others of its study back."""
    sender = Script({"pacs": [STORED, (0xC000, "odd"), (0xA700, "full")]})
    settled = ship(shipment("1.2", "pacs", 1, 1, 1), sender)
    assert [each.event for each in settled] == [
        DeliveryEvent.ACCEPTED,
        DeliveryEvent.REFUSED,
        DeliveryEvent.UNAVAILABLE,
    ]


def test_what_failed_together_is_due_together() -> None:
    """One draw of jitter serves the shipment, so that its next association is one again."""
    draws = iter([0.3])
    sender = Script({"pacs": [SILENT, SILENT]})
    settled = ship(shipment(), sender, lambda: next(draws))
    assert len({each.due_at for each in settled}) == 1


def test_poison_object_steps_back() -> None:
    """An object that breaks the association is soon behind those it kept from being sent."""
    sender = Script({"pacs": [(UNAVAILABLE, "the peer hung up"), (NOT_SENT, "not sent")]})
    poison, kept = ship(shipment("1.2", "pacs", 3, 3), sender)
    assert poison.due_at == NOW + timedelta(seconds=32)
    assert kept.due_at == NOW + timedelta(seconds=8)
    assert kept.status_code is None


def test_until_nothing_is_due() -> None:
    """One round empties the outbox, each shipment under a lease of its own."""
    queue = Queue([shipment("1"), shipment("2"), shipment("3")])
    sender = Script({"pacs": [STORED, STORED]})
    assert deliverer(queue, sender).deliver_due() == 3
    assert list(queue.settled) == ["1", "2", "3"]
    assert set(queue.leases) == {NOW + timedelta(seconds=600)}


@pytest.mark.parametrize(("seconds", "renewed"), [(1.0, 1), (30.0, 3)])
def test_a_lease_is_renewed_before_each_object_unless_that_was_a_moment_ago(
    seconds: float, renewed: int
) -> None:
    """A process that pauses between two objects asks whether the shipment is still its own."""
    clock = FakeClock()

    class Paused(Script):
        def send(
            self,
            destination: str,
            paths: Sequence[Path],
            before_each: Callable[[], None] = lambda: None,
        ) -> Generator[Answer, None, None]:
            for each in super().send(destination, paths, before_each):
                yield each
                clock.tick(seconds)

    queue = Queue([shipment("1.2", "pacs", 1, 1, 1)])
    sender = Paused({"pacs": [STORED, STORED, STORED]})
    replace(deliverer(queue, sender), clock=clock).deliver_due()
    assert queue.renewed == renewed


def test_a_dead_destination_is_asked_once_a_round() -> None:
    """A destination that does not answer costs the others one time-out, not one per study."""
    queue = Queue(
        [shipment("1", "dead"), shipment("2", "pacs"), shipment("3", "dead"), shipment("4", "pacs")]
    )
    sender = Script({"dead": [SILENT, SILENT], "pacs": [STORED, STORED]})
    round_ = deliverer(queue, sender)
    assert round_.deliver_due() == 4
    assert [destination for destination, _ in sender.asked] == ["dead", "pacs", "pacs"]
    put_off = queue.settled["3"][0]
    assert put_off.event is DeliveryEvent.UNAVAILABLE
    assert put_off.reason == "not tried: nothing listens"
    assert put_off.due_at == NOW + timedelta(seconds=8)
    queue.waiting = [shipment("5", "dead")]
    round_.deliver_due()
    assert sender.asked[-1][0] == "dead"  # the next round asks again


def test_a_busy_destination_is_not_dead() -> None:
    """A peer that refuses, or takes at least one object, is asked for the next study too."""
    queue = Queue([shipment("1"), shipment("2")])
    sender = Script({"pacs": [(0xA700, "full"), SILENT]})
    deliverer(queue, sender).deliver_due()
    assert len(sender.asked) == 2


def test_lease_lost() -> None:
    """A shipment that another process holds now is dropped, and the round goes on."""
    queue = Queue([shipment("1"), shipment("2")], lost=True)
    sender = Script({"pacs": [STORED, STORED]})
    assert deliverer(queue, sender).deliver_due() == 2
    assert queue.settled == {}


def test_stopping() -> None:
    """Once stopping, the shipment under way is the last."""
    stopping = threading.Event()
    queue = Queue([shipment("1"), shipment("2")])

    class StopsMidway(Script):
        def send(
            self,
            destination: str,
            paths: Sequence[Path],
            before_each: Callable[[], None] = lambda: None,
        ) -> Generator[Answer, None, None]:
            stopping.set()
            return super().send(destination, paths, before_each)

    sender = StopsMidway({"pacs": [STORED, STORED]})
    assert deliverer(queue, sender, stopping).deliver_due() == 1
    assert list(queue.settled) == ["1"]


REFUSED = (0xA900, "data set does not match SOP class")


@pytest.mark.parametrize(
    ("said", "attempt", "event", "level"),
    [
        (SILENT, 1, "delivery failed, to be tried again", "warning"),
        (SILENT, 2, None, None),
        (SILENT, 4, "delivery held until retry or discard", "error"),
        (REFUSED, 2, "delivery held until retry or discard", "error"),
    ],
    ids=str,
)
def test_the_log_has_the_first_failure_and_every_hold(
    said: tuple[Said, str], attempt: int, event: str | None, level: str | None
) -> None:
    """With the destination and the reason, one line for equal objects."""
    queue = Queue([shipment("1.2", "pacs", attempt, attempt)])
    with capture_logs() as logs:
        deliverer(queue, Script({"pacs": [said, said]})).deliver_due()
    assert [(each["event"], each["log_level"]) for each in logs] == (
        [(event, level)] if event else []
    )
    for each in logs:
        assert said[1] in each["reason"]
        assert (each["destination"], each["objects"]) == ("pacs", 2)


def test_objects_with_one_answer_are_settled_together() -> None:
    """A crash in between would leave a repeat that is another message."""
    queue = Queue([shipment("1.2", "ris", 1, 1), shipment("1.3", "pacs", 1, 1)])
    sender = Script({"ris": [STORED] * 2, "pacs": [STORED] * 2})
    replace(deliverer(queue, sender), whole=frozenset({"ris"})).deliver_due()
    assert queue.transactions == [2, 1, 1]
