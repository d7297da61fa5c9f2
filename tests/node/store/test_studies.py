"""What an administrator may ask."""

from __future__ import annotations

from pathlib import Path

from support.fakes import START, StoreHarness, full, refused

from dicom_node.domain.states import DeliveryEvent
from dicom_node.domain.values import Settlement
from dicom_node.store.status import read_status


def _three_studies(node: StoreHarness) -> None:
    """One delivered, one refused, one that waits."""
    node.finish(node.work("1.2"), "pacs")
    shipment = node.store.outbox.claim("deliverer-1", node.clock.after(60))
    assert shipment is not None
    node.store.outbox.settle(
        shipment,
        [
            Settlement(
                delivery_id=d.id, event=DeliveryEvent.ACCEPTED, status_code=0, reason="stored"
            )
            for d in shipment.deliveries
        ],
    )
    node.clock.tick()
    node.store.jobs.finish(node.work("1.3"), [refused("1.3.1")], full("pacs"))
    node.clock.tick()
    node.receive("1.4")
    node.open_ready()


def test_status_counts_everything(node: StoreHarness, tmp_path: Path) -> None:
    """Instances by decision, jobs by status, deliveries by destination; since when work waits."""
    assert read_status(tmp_path, node.url) == {
        "instances": {}, "studies": 0, "jobs": {}, "deliveries": {}, "breakers": {},
        "oldest_waiting": None, "oldest_undecided": None, "oldest_undelivered": None,
        "started_at": None, "audit_lines": 0, "audit_sent": 0, "audit_unsent_since": None,
        "members": [],
    }  # fmt: skip
    _three_studies(node)
    assert read_status(tmp_path, node.url) == {
        "instances": {"read": 1, "refused": 1, "undecided": 1},
        "studies": 3,
        "jobs": {"done": 2, "waiting": 1},
        "deliveries": {"pacs": {"accepted": 2}},
        "breakers": {},
        "oldest_waiting": node.clock.now.isoformat(timespec="microseconds"),
        "oldest_undecided": node.clock.now.isoformat(timespec="microseconds"),
        "oldest_undelivered": None,
        "started_at": None,
        "audit_lines": len(node.kinds()),
        "audit_sent": 0,
        "audit_unsent_since": START.isoformat(timespec="microseconds"),
        "members": [],
    }


def test_status_does_not_wait_for_a_writer(node: StoreHarness, tmp_path: Path) -> None:
    """While another process is in the middle of a commit, looking is free."""
    node.receive()
    with node.store._engine.connect() as writer, writer.begin():
        assert read_status(tmp_path, node.url)["studies"] == 1


def test_the_latest_studies_come_first(node: StoreHarness) -> None:
    """Each with its films, what became of them, and where its deliveries stand."""
    _three_studies(node)
    rows = node.store.queries.studies(10)
    listed = [
        (r["study_instance_uid"], r["instances"], r["read"], r["refused"], r["job"]) for r in rows
    ]
    assert listed == [
        ("1.4", 1, 0, 0, "waiting"), ("1.3", 1, 0, 1, "done"), ("1.2", 1, 1, 0, "done"),
    ]  # fmt: skip
    assert [row["deliveries"] for row in rows] == [{}, {}, {"accepted": 2}]
    assert [row["result"] for row in rows] == [None, None, "below"]
    assert {name for row in rows for name in row["senders"]} == {"MODALITY"}
    assert rows[-1]["first_received_at"] == rows[-1]["last_received_at"] == START
    assert [row["study_instance_uid"] for row in node.store.queries.studies(1)] == ["1.4"]


def test_a_story_ends_with_its_audit_lines(node: StoreHarness) -> None:
    """All lines of the study and no other's; an unknown study has no detail."""
    _three_studies(node)
    detail = node.study_detail("1.3")
    assert [line["kind"] for line in detail["audit"]] == [
        "instance-received", "study-ready", "film-refused",
    ]  # fmt: skip
    assert detail["results"] == []
    assert node.store.queries.study_detail("1.9") is None
