"""A thread for each destination: who hangs delays no other, and nothing is sent twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from structlog.testing import capture_logs
from support.fakes import FakeSender, StoreHarness
from support.receiving import eventually

from dicom_node.deliver.retry import RetryPolicy
from dicom_node.deliver.shipment import Deliverer
from dicom_node.dicom.blobs import Folder
from dicom_node.domain.values import Answer
from dicom_node.service.lanes import Lanes


@dataclass
class Hanging(FakeSender):
    """The destination `slow` does not answer before `go`."""

    go: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def send(
        self,
        destination: str,
        paths: Sequence[Path],
        before_each: Callable[[], None] = lambda: None,
    ) -> Generator[Answer, None, None]:
        self.asked.append(destination)
        if destination == "slow":
            assert self.go.wait(10)
        yield from super().send(destination, paths, before_each)


def test_a_destination_that_hangs_delays_no_other(node: StoreHarness) -> None:
    """The other one gets all its studies meanwhile; then the slow one gets each once."""
    for study in ("1.2", "1.3"):
        node.finish(node.work(study), "slow", "pacs")
    sender = Hanging()
    deliverer = Deliverer(
        owner="deliverer-1",
        outbox=node.store.outbox,
        sender=sender,
        policy=RetryPolicy(
            first=timedelta(seconds=1), longest=timedelta(seconds=1), max_attempts=3
        ),
        blobs=Folder(Path()),
        lease_seconds=600,
        clock=node.clock,
        jitter=lambda: 0.0,
    )
    lanes = Lanes("deliver", node.store.outbox.due, deliverer.deliver_due)
    lanes.start_due()
    assert eventually(lambda: len([to for to, _ in sender.sent if to == "pacs"]) == 4)
    assert eventually(lambda: "slow" in sender.asked)
    lanes.start_due()  # the slow one is under way already
    assert sender.asked.count("slow") == 1
    sender.go.set()
    lanes.wait()
    assert sender.asked.count("slow") == 2
    assert len(sender.sent) == len(set(sender.sent)) == 8
    assert {row["status"] for row in node.rows("deliveries")} == {"accepted"}


def test_work_that_fails_is_logged_and_tried_again() -> None:
    """The next tick starts it again."""
    tries: list[str] = []

    def explode(name: str) -> None:
        tries.append(name)
        raise ValueError("boom")

    lanes = Lanes("deliver", lambda: ["pacs"], explode)
    with capture_logs() as logs:
        lanes.start_due()
        assert eventually(lambda: logs)
        lanes.start_due()
        lanes.wait()
    assert tries == ["pacs", "pacs"]
    assert {entry["event"] for entry in logs} == {"work failed"}
