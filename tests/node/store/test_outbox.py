"""The objects on their way, and what the destinations said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.answers import UNAVAILABLE
from support.fakes import FakeSender, StoreHarness, read, result

from dicom_node.deliver.retry import RetryPolicy
from dicom_node.deliver.shipment import Deliverer
from dicom_node.dicom.blobs import Folder
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.states import DeliveryEvent
from dicom_node.domain.values import Settlement, Shipment
from dicom_node.errors import LeaseLost


def _claim(node: StoreHarness, owner: str = "deliverer-1") -> Shipment:
    shipment = node.store.outbox.claim(owner, node.clock.after(60))
    assert shipment is not None
    return shipment


def _settle(node: StoreHarness, shipment: Shipment, event: DeliveryEvent, **more: object) -> None:
    said: dict[str, object] = {"status_code": 0x0000, "reason": "said", **more}
    node.store.outbox.settle(
        shipment,
        [
            Settlement(delivery_id=delivery.id, event=event, **said)  # type: ignore[arg-type]
            for delivery in shipment.deliveries
        ],
    )


def test_a_shipment_is_everything_due_for_one_study_and_destination(node: StoreHarness) -> None:
    """One association carries it; another destination or study is another shipment."""
    node.finish(node.work("1.2"), "pacs", "research")
    node.finish(node.work("1.3"), "pacs")
    shipments = [_claim(node) for _ in range(3)]
    assert [(s.study_instance_uid, s.destination) for s in shipments] == [
        ("1.2", "pacs"), ("1.2", "research"), ("1.3", "pacs"),
    ]  # fmt: skip
    assert [d.result for d in shipments[0].deliveries] == [result("1.2.1", 1), result("1.2.1", 2)]
    assert {d.attempt for d in shipments[0].deliveries} == {1}
    assert node.store.outbox.claim("deliverer-1", node.clock.after(60)) is None


def test_a_destination_gets_the_results_of_its_edition(node: StoreHarness) -> None:
    """And no other; the result says in which study the object is."""
    job = node.work("1.2")
    [outcome] = [read(film.sop_instance_uid) for film in job.instances]
    whole, other = outcome.results
    other = replace(other, editions=("pseudonym",), sent_study_instance_uid="2.25.9")
    destinations = {"pacs": "full", "research": "pseudonym"}
    node.store.jobs.finish(job, [replace(outcome, results=(whole, other))], destinations)
    shipments = {each.destination: each for each in (_claim(node), _claim(node))}
    assert [each.result for each in shipments["pacs"].deliveries] == [whole]
    assert [each.result for each in shipments["research"].deliveries] == [other]
    assert node.store.outbox.claim("deliverer-1", node.clock.after(60)) is None


def test_an_accepted_object_is_never_claimed_again(node: StoreHarness) -> None:
    """Neither later, nor after a release, nor by `retry`."""
    node.finish(node.work(), "pacs")
    _settle(node, _claim(node), DeliveryEvent.ACCEPTED)
    node.clock.tick(3600)
    assert node.store.outbox.release() == node.store.outbox.release("deliverer-1") == 0
    assert node.store.outbox.retry(None) == 0
    assert node.store.outbox.claim("deliverer-1", node.clock.after(60)) is None
    assert {row["status"] for row in node.rows("deliveries")} == {"accepted"}
    assert all(row["accepted_at"] for row in node.rows("deliveries"))


def test_each_settlement_is_an_audit_line(node: StoreHarness) -> None:
    """It names destination, attempt, the DIMSE status in hex, and why."""
    node.finish(node.work(), "pacs")
    shipment = _claim(node)
    first, second = shipment.deliveries
    due = node.clock.after(30)
    node.store.outbox.settle(
        shipment,
        [
            Settlement(
                delivery_id=first.id, event=DeliveryEvent.REFUSED, status_code=0xA900, reason="no"
            ),
            Settlement(
                delivery_id=second.id, event=DeliveryEvent.UNAVAILABLE, status_code=None,
                reason="nothing listens", due_at=due,
            ),
        ],
    )  # fmt: skip
    held, deferred = node.store.audit.tail(2)
    assert (held.event.kind, deferred.event.kind) == (
        AuditKind.DELIVERY_HELD, AuditKind.DELIVERY_DEFERRED,
    )  # fmt: skip
    assert held.event.sop_instance_uid == first.result.sop_instance_uid
    assert held.event.detail == {
        "destination": "pacs", "attempt": 1, "status": "0xA900", "reason": "no", "due_at": None,
    }  # fmt: skip
    assert deferred.event.detail["status"] is None
    assert deferred.event.detail["due_at"] == due.isoformat(timespec="microseconds")


def test_a_put_off_delivery_is_due_when_it_was_said(node: StoreHarness) -> None:
    """Then it comes as the next attempt, with all that was put off together."""
    node.finish(node.work(), "pacs")
    _settle(node, _claim(node), DeliveryEvent.UNAVAILABLE, due_at=node.clock.after(5))
    node.clock.tick(4)
    assert node.store.outbox.claim("deliverer-1", node.clock.after(60)) is None
    node.clock.tick(1)
    assert [delivery.attempt for delivery in _claim(node).deliveries] == [2, 2]


@pytest.mark.parametrize("event", [DeliveryEvent.REFUSED, DeliveryEvent.GAVE_UP])
def test_a_held_delivery_waits_for_a_person(node: StoreHarness, event: DeliveryEvent) -> None:
    """`retry` wakes it, by study or all, with all attempts ahead and a line for each object."""
    node.finish(node.work(), "pacs")
    _settle(node, _claim(node), event)
    node.clock.tick(3600)
    assert node.store.outbox.claim("deliverer-1", node.clock.after(60)) is None
    assert node.store.outbox.retry("1.9") == 0
    assert node.store.outbox.retry("1.2") == 2
    assert [delivery.attempt for delivery in _claim(node).deliveries] == [1, 1]
    assert node.kinds()[-2:] == [AuditKind.DELIVERY_RETRIED] * 2


def test_a_deliverer_that_lost_its_lease_settles_nothing(node: StoreHarness) -> None:
    """Not even the part of its shipment that no other deliverer has claimed yet."""
    node.finish(node.work(), "pacs")
    late = _claim(node)
    node.clock.tick(61)
    assert node.store.outbox.release() == 2
    before = node.dump()
    with pytest.raises(LeaseLost):
        _settle(node, late, DeliveryEvent.ACCEPTED)
    assert node.dump() == before
    now = _claim(node, "deliverer-2")
    before = node.dump()
    with pytest.raises(LeaseLost):
        _settle(node, late, DeliveryEvent.ACCEPTED)
    assert node.dump() == before
    _settle(node, now, DeliveryEvent.ACCEPTED)


def test_the_deliverer_empties_the_outbox(node: StoreHarness, tmp_path: Path) -> None:
    """Over the real outbox: what is refused is held, what is not there comes later, the rest is in.

    Each object reaches the destination exactly once.
    """
    node.finish(node.work(), "pacs")
    node.finish(node.work(number=2), "pacs")
    sender = FakeSender(
        [(0x0000, "stored"), (0xC000, "no"), (UNAVAILABLE, "went away"), (0, "stored")]
    )
    deliverer = Deliverer(
        owner="deliverer-1", outbox=node.store.outbox, sender=sender,
        policy=RetryPolicy(
            first=timedelta(seconds=1), longest=timedelta(seconds=8), max_attempts=9
        ),
        blobs=Folder(tmp_path), lease_seconds=60, clock=node.clock, jitter=lambda: 0.5,
    )  # fmt: skip
    assert deliverer.deliver_due() == 1
    statuses = [row["status"] for row in node.rows("deliveries")]
    assert statuses == ["accepted", "held", "pending", "accepted"]
    node.clock.tick(8)
    assert deliverer.deliver_due() == 1
    assert [row["status"] for row in node.rows("deliveries")].count("accepted") == 3
    assert len(sender.sent) == 5
