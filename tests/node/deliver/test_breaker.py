"""The circuit breaker: when a destination is left alone, and when it gets its work again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from support.answers import NO_ANSWER, UNAVAILABLE
from support.fakes import FakeSender, StoreHarness

from dicom_node.deliver.breaker import Breaker
from dicom_node.deliver.retry import RetryPolicy
from dicom_node.deliver.shipment import Deliverer
from dicom_node.deliver.status import EchoResult
from dicom_node.dicom.blobs import Folder
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.values import Answer
from dicom_node.store.status import read_status

POLICY = RetryPolicy(first=timedelta(seconds=4), longest=timedelta(seconds=60), max_attempts=99)


@dataclass
class Echo:
    """Destinations that are there, or not."""

    there: bool = False
    asked: list[str] = field(default_factory=list)

    def echo(self, destination: str) -> EchoResult:
        self.asked.append(destination)
        return EchoResult(ok=self.there, status=None, reason="still away", seconds=0.0)


@pytest.fixture
def breaker(node: StoreHarness) -> Breaker:
    return Breaker(
        table=node.store.breakers,
        configured=frozenset({"pacs", "away"}),
        policy=POLICY,
        most=3,
        clock=node.clock,
        jitter=lambda: 0.0,
    )


def deliverer(node: StoreHarness, sender: FakeSender, breaker: Breaker) -> Deliverer:
    return Deliverer(
        owner="deliverer-1", outbox=node.store.outbox, sender=sender, policy=POLICY,
        blobs=Folder(Path("/data")), lease_seconds=60, clock=node.clock, jitter=lambda: 0.0,
        note=breaker.note,
    )  # fmt: skip


class Half(FakeSender):
    """One destination answers, the other does not."""

    def send(
        self,
        destination: str,
        paths: Sequence[Path],
        before_each: Callable[[], None] = lambda: None,
    ) -> Generator[Answer, None, None]:
        if destination == "away":
            self.answers = [(UNAVAILABLE, "nothing listens")] * len(paths)
        return super().send(destination, paths, before_each)


def test_failures_in_a_row_open_it_and_the_others_go_on(
    node: StoreHarness, breaker: Breaker, tmp_path: Path
) -> None:
    """Nothing more is sent to the one that is away, and no attempt is used up."""
    node.finish(node.work("1.2"), "away", "pacs")
    sender = Half()
    work = deliverer(node, sender, breaker)
    for _ in range(3):
        work.deliver_due()
        node.clock.tick(60)
    assert breaker.due() == ["away"]
    before = len(sender.sent)
    node.finish(node.work("1.3"), "away", "pacs")
    work.deliver_due()
    assert {destination for destination, _ in sender.sent[before:]} == {"pacs"}
    attempts = {r["attempt"] for r in node.rows("deliveries") if r["destination"] == "away"}
    assert attempts == {0, 3}
    result = read_status(tmp_path)["breakers"]["away"]
    assert (result["open"], result["failures"], result["reason"]) == (True, 3, "nothing listens")
    assert node.kinds().count(AuditKind.DESTINATION_DOWN) == 1


def test_a_probe_that_gets_through_closes_it(
    node: StoreHarness, breaker: Breaker, tmp_path: Path
) -> None:
    """Before that, the looks are further and further apart."""
    for _ in range(3):
        breaker.note("pacs", "nothing listens")
    echo = Echo()
    for wait in (4, 8, 16):
        node.clock.tick(wait - 1)
        assert breaker.due() == []
        node.clock.tick(1)
        assert breaker.due() == ["pacs"]
        assert not breaker.probe(echo, "pacs")
    assert echo.asked == ["pacs"] * 3
    assert breaker.due() == []
    node.store.breakers.probe_now()  # as `retry` does
    echo.there = True
    assert breaker.due() == ["pacs"]
    assert breaker.probe(echo, "pacs")
    assert read_status(tmp_path)["breakers"] == {}
    assert node.kinds() == [AuditKind.DESTINATION_DOWN, AuditKind.DESTINATION_UP]
    node.finish(node.work(), "pacs")
    assert deliverer(node, FakeSender(), breaker).deliver_due() == 1


def test_a_destination_that_left_the_configuration_is_not_probed(
    node: StoreHarness, breaker: Breaker
) -> None:
    """What waits for it is sent for once more, and held by the sender that does not know it."""
    for destination in ("old", "pacs"):
        for _ in range(3):
            breaker.note(destination, "nothing listens")
    assert breaker.due() == ["old"]  # at once, not at its next probe
    assert not breaker.probe(echo := Echo(), "old")
    assert echo.asked == []
    assert breaker.table.failures("old") == 0


def test_an_answer_in_between_restarts_the_count(node: StoreHarness, breaker: Breaker) -> None:
    """Any answer shows that the destination is there."""
    for _ in range(2):
        breaker.note("pacs", "nothing listens")
    node.finish(node.work(), "pacs")
    deliverer(node, FakeSender([(0xC000, "no"), (0xC000, "no")]), breaker).deliver_due()
    assert breaker.table.failures("pacs") == 0
    breaker.note("pacs", "nothing listens")
    assert breaker.due() == []


def test_what_went_out_unanswered_is_sent_and_goes_out_again(
    node: StoreHarness, breaker: Breaker
) -> None:
    """`sent` is neither pending nor accepted: the peer may have it."""
    node.finish(node.work(), "pacs")
    work = deliverer(node, FakeSender([(0, "stored"), (NO_ANSWER, "the peer hung up")]), breaker)
    work.deliver_due()
    assert [row["status"] for row in node.rows("deliveries")] == ["accepted", "sent"]
    node.clock.tick(4)
    work.deliver_due()
    assert [row["status"] for row in node.rows("deliveries")] == ["accepted", "accepted"]
