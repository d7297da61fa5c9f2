"""The machine's clock jumps: nothing is lost, nothing twice, and nothing waits for years."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.fakes import StoreHarness

from dicom_node.domain.states import DeliveryEvent
from dicom_node.domain.values import Settlement
from dicom_node.errors import LeaseLost

YEARS = 4 * 365 * 86400.0
LONGEST = timedelta(minutes=15)


def test_what_a_clock_that_was_ahead_has_put_off_is_due_when_it_is_set_right(
    node: StoreHarness,
) -> None:
    """A film, a job and a delivery of 2030 are read and sent in 2026."""
    node.finish(node.work("1.1"), "pacs")  # a delivery waits
    node.receive("1.2")
    node.open_ready()  # a job waits
    node.receive("1.3")  # a study waits to be quiet
    node.clock.tick(-YEARS)
    until = node.clock.after(60)
    assert node.store.jobs.claim("worker-1", until) is None
    assert node.store.outbox.claim("deliverer-1", until) is None
    assert node.open_ready() == 0

    assert node.store.repair_clock_skew(LONGEST) == 2 + 1 + 3  # deliveries, job, studies
    node.clock.tick(1)
    assert node.store.outbox.claim("deliverer-1", until) is not None
    assert node.claim().study_instance_uid == "1.2"
    assert node.open_ready() == 1


def test_what_is_put_off_on_purpose_is_left_alone(node: StoreHarness) -> None:
    """A retry in a quarter of an hour, and a lease for as long, are no jump of the clock."""
    job = node.work()
    node.store.jobs.fail(job, "why", node.clock.now + LONGEST)
    node.finish(node.work("1.3"), "pacs")
    assert node.store.outbox.claim("deliverer-1", node.clock.now + LONGEST) is not None
    before = node.dump()
    assert node.store.repair_clock_skew(LONGEST) == 0
    assert node.dump() == before


def test_a_lease_that_would_last_for_years_ends(node: StoreHarness) -> None:
    """Its holder may be a process that no longer exists under that name."""
    node.receive()
    node.open_ready()
    node.claim("worker-7", seconds=60)
    node.clock.tick(-YEARS)
    assert node.store.repair_clock_skew(LONGEST) > 0
    assert node.store.release() == 0
    node.clock.tick(LONGEST.total_seconds() + 1)
    assert node.store.release() == 1


def test_a_question_put_off_for_years_is_asked(node: StoreHarness) -> None:
    """Whether an accepted object is kept."""
    node.finish(node.work(), "pacs")
    shipment = node.store.outbox.claim("deliverer-1", node.clock.after(60))
    assert shipment is not None
    settled = [
        Settlement(
            delivery_id=each.id, event=DeliveryEvent.ACCEPTED, status_code=0, reason="stored",
            due_at=None, confirm=True,
        )
        for each in shipment.deliveries
    ]  # fmt: skip
    node.store.outbox.settle(shipment, settled)
    node.clock.tick(-YEARS)
    assert node.store.commitments.claim("deliverer-1", node.clock.after(60)) is None
    node.store.repair_clock_skew(LONGEST)
    assert node.store.commitments.claim("deliverer-1", node.clock.after(60)) is not None


def test_a_jump_forward_costs_a_second_reading_and_one_result(node: StoreHarness) -> None:
    """The lease runs out under its holder: it is turned away, another worker reads, once."""
    job = node.work()
    node.clock.tick(YEARS)
    assert node.store.release() == 1
    with pytest.raises(LeaseLost):
        node.finish(job, "pacs")
    node.finish(node.claim(), "pacs")
    assert len(node.rows("results")) == len(node.rows("deliveries")) == 2
    assert node.store.audit.verify() == []


def test_the_audit_log_verifies_across_jumps(node: StoreHarness) -> None:
    """The chain is of lines, not of times."""
    for seconds in (YEARS, -2 * YEARS, YEARS):
        node.receive(f"1.{len(node.rows('studies'))}")
        node.clock.tick(seconds)
    assert node.store.audit.verify() == []


def test_a_jump_forward_removes_nothing_that_is_not_delivered(node: StoreHarness) -> None:
    """However old it looks."""
    node.finish(node.work(), "pacs")
    node.clock.tick(YEARS)
    before = node.clock.now - timedelta(days=30)
    assert node.store.retention.removable(before, 10) == []
