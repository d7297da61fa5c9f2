"""Whether destinations keep what they accepted: asked over real associations and the real store."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dsutils import decode
from support.commitment_pacs import CommittingPeer, Style
from support.fakes import SC, StoreHarness
from support.peer import Peer, destination, free_port, wait_until
from support.receiving import MemoryStore

from dicom_node.commitment.confirm import Confirmer
from dicom_node.commitment.intake import Intake
from dicom_node.commitment.receive import CommitmentHandler
from dicom_node.commitment.scu import CommitmentScu
from dicom_node.config import Config, DeliveryConfig, DicomDestination, NodeConfig
from dicom_node.deliver.retry import RetryPolicy
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.commitment import CommitmentReport, Failure, Reference
from dicom_node.domain.states import DeliveryEvent
from dicom_node.domain.values import Settlement
from dicom_node.errors import LeaseLost
from dicom_node.receive.scp import Receiver

DELIVERY = DeliveryConfig(
    timeout_seconds=5, commitment_wait_seconds=3, commitment_timeout_seconds=60
)


def accept(node: StoreHarness) -> None:
    """Two objects of one study that the PACS has just accepted."""
    node.finish(node.work(), "pacs")
    settle(node)


def settle(node: StoreHarness) -> None:
    shipment = node.store.outbox.claim("deliverer-1", node.clock.after(60))
    assert shipment is not None
    node.store.outbox.settle(
        shipment,
        [
            Settlement(
                delivery_id=delivery.id, event=DeliveryEvent.ACCEPTED, status_code=0,
                reason="stored", confirm=True,
            )
            for delivery in shipment.deliveries
        ],
    )  # fmt: skip


def commitment_scu(node: StoreHarness, peer: DicomDestination, intake: Intake) -> CommitmentScu:
    return CommitmentScu("AINODE", [peer], node.store.commitments, intake, node.store.audit)


def confirmer(node: StoreHarness, peer: DicomDestination, **delivery: Any) -> Confirmer:
    settings = DELIVERY.model_copy(update=delivery)
    intake = Intake(node.store.commitments, settings, node.clock)
    return Confirmer(
        owner="deliverer-1",
        commitments=node.store.commitments,
        verifiers={"pacs": commitment_scu(node, peer, intake)},
        policy=RetryPolicy.of(settings),
        delivery=settings,
        clock=node.clock,
        jitter=lambda: 0.0,
    )


@contextmanager
def listening(node: StoreHarness, folder: Path, *peers: DicomDestination) -> Iterator[Receiver]:
    """The node's receiver, with the handler for storage commitment."""
    config = Config(
        destinations=peers or (destination(1),), node=NodeConfig(ae_title="AINODE", data_dir=folder)
    )
    own = config.node.model_copy(update={"port": 0, "host": "127.0.0.1"})
    config = config.model_copy(update={"node": own, "delivery": DELIVERY})
    intake = Intake(node.store.commitments, DELIVERY, node.clock)
    handler = CommitmentHandler(config, node.store.commitment_requests, intake)
    memory = MemoryStore()
    receiver = Receiver(config, memory, node.store.audit, node.clock, handlers=handler.handlers)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop(drain_seconds=0.5)


def statuses(node: StoreHarness) -> list[str]:
    return [row["status"] for row in node.rows("deliveries")]


def reasons(node: StoreHarness) -> set[str]:
    return {row["last_reason"] for row in node.rows("deliveries")}


def test_a_report_on_the_same_association_commits(node: StoreHarness, tmp_path: Path) -> None:
    """One query covers all objects of the study; the audit log has a line for each."""
    accept(node)
    with CommittingPeer(tmp_path / "pacs", Style.SAME) as peer:
        assert confirmer(node, destination(peer.port)).confirm_due() == 1
        wait_until(lambda: peer.report_statuses)
    assert peer.report_statuses == [0x0000]
    [(transaction_uid, references)] = peer.requests
    assert len(references) == 2
    assert statuses(node) == ["committed", "committed"]
    assert {row["committed_by"] for row in node.rows("deliveries")} == {"commitment"}
    assert all(row["committed_at"] and row["accepted_at"] for row in node.rows("deliveries"))
    assert node.kinds()[-3:] == [
        AuditKind.COMMITMENT_REQUESTED, *[AuditKind.DELIVERY_COMMITTED] * 2,
    ]  # fmt: skip
    assert node.store.audit.tail(1)[0].event.detail["transaction_uid"] == transaction_uid


class _SlowIntake(Intake):
    """Written down, and then long in answering, as on a busy machine."""

    def take(
        self, event_information: Callable[[], Dataset], may_report: Callable[[str], bool]
    ) -> int:
        status = super().take(event_information, may_report)
        time.sleep(0.4)
        return status


def test_the_association_is_not_released_before_a_report_is_answered(
    node: StoreHarness, tmp_path: Path
) -> None:
    """Who reports hears that it was taken, however long that takes."""
    accept(node)
    intake = _SlowIntake(node.store.commitments, DELIVERY, node.clock)
    with CommittingPeer(tmp_path / "pacs", Style.SAME) as peer:
        verifier = commitment_scu(node, destination(peer.port), intake)
        replace(confirmer(node, destination(peer.port)), verifiers={"pacs": verifier}).confirm_due()
        wait_until(lambda: peer.report_statuses)
    assert peer.report_statuses == [0x0000]


@pytest.mark.parametrize("says_role", [True, False])
def test_a_report_on_a_new_association_commits(
    node: StoreHarness, tmp_path: Path, says_role: bool
) -> None:
    """The peer opens it, as SCP or without saying so, in Implicit VR; it is not waited for."""
    accept(node)
    with (
        listening(node, tmp_path) as receiver,
        CommittingPeer(tmp_path / "pacs", Style.NEW, node_port=receiver.ports[0]) as peer,
    ):
        peer.says_role = says_role
        confirmer(node, destination(peer.port)).confirm_due()
        wait_until(lambda: peer.report_statuses)
    assert peer.report_statuses == [0x0000]
    assert statuses(node) == ["committed", "committed"]


def test_a_late_report_of_an_older_request_counts(node: StoreHarness, tmp_path: Path) -> None:
    """A PACS that answers after it was asked again has kept the objects all the same."""
    accept(node)
    with (
        listening(node, tmp_path) as receiver,
        CommittingPeer(tmp_path / "pacs", Style.NEVER, node_port=receiver.ports[0]) as peer,
    ):
        asking = confirmer(node, destination(peer.port), commitment_wait_seconds=0)
        asking.confirm_due()
        assert asking.confirm_due() == 0  # not before the time-out
        node.clock.tick(60)
        asking.confirm_due()
        assert len({transaction for transaction, _ in peer.requests}) == 2
        peer.report_elsewhere(None, peer.requests[0])
        peer.report_elsewhere(None, peer.requests[0])  # once more changes nothing
    assert peer.report_statuses == [0x0000, 0x0000]
    assert statuses(node) == ["committed", "committed"]
    assert node.kinds().count(AuditKind.DELIVERY_COMMITTED) == 2


def test_what_is_not_kept_is_sent_again(node: StoreHarness, tmp_path: Path) -> None:
    """The others are committed; the lost one goes back to the outbox with its reason."""
    accept(node)
    with CommittingPeer(tmp_path / "pacs", Style.SAME, fails=(1, 0x0112)) as peer:
        asking = confirmer(node, destination(peer.port), commitment_attempts=1)
        asking.confirm_due()
        assert statuses(node) == ["pending", "committed"]
        assert "accepted but not kept: 0x0112 no such object instance" in reasons(node)
        node.clock.tick(5)
        settle(node)
        asking.confirm_due()
    assert statuses(node) == ["held", "committed"]
    assert "gave up: accepted 2 times but not kept: 0x0112 no such object instance" in (
        reasons(node)
    )
    assert node.kinds()[-1] is AuditKind.DELIVERY_HELD


@pytest.mark.parametrize("style", [Style.NEVER, Style.REFUSE, Style.SILENT])
def test_without_a_report_a_query_decides(node: StoreHarness, tmp_path: Path, style: Style) -> None:
    """Asked as often as configured, or not at all where commitment is not offered."""
    accept(node)
    listed = [row["sop_instance_uid"] for row in node.rows("deliveries")]
    with CommittingPeer(tmp_path / "pacs", style, listed=listed) as peer:
        asking = confirmer(
            node, destination(peer.port), commitment_attempts=2, commitment_wait_seconds=0
        )
        for _ in range(3):
            asking.confirm_due()
            node.clock.tick(60)
    assert len(peer.requests) == (0 if style is Style.SILENT else 2)
    assert statuses(node) == ["committed", "committed"]
    assert {row["committed_by"] for row in node.rows("deliveries")} == {"query"}
    queries = [
        line.event
        for line in node.store.audit.tail(99)
        if line.event.kind is AuditKind.DESTINATION_QUERIED
    ]
    assert [each.sop_instance_uid for each in queries] == listed
    assert queries[0].detail["destination"] == "pacs"
    encoded = base64.b64decode(str(queries[0].detail["query"]))
    syntax = UID(str(queries[0].detail["transfer_syntax_uid"]))
    ds = decode(BytesIO(encoded), syntax.is_implicit_VR, syntax.is_little_endian)
    assert ds.SOPInstanceUID == listed[0]
    assert {each.keyword for each in ds} == {
        "QueryRetrieveLevel", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID",
    }  # fmt: skip


def test_what_no_query_finds_is_sent_again(node: StoreHarness, tmp_path: Path) -> None:
    """Not at the first look: archives take a while to list what they have."""
    accept(node)
    with CommittingPeer(tmp_path / "pacs", Style.SILENT, listed=[]) as peer:
        asking = confirmer(node, destination(peer.port), commitment_attempts=2)
        asking.confirm_due()
        assert statuses(node) == ["accepted", "accepted"]
        node.clock.tick(60)
        asking.confirm_due()
    assert statuses(node) == ["pending", "pending"]


@pytest.mark.parametrize("status", [0xA700, 0xC000])
def test_questions_have_an_end(node: StoreHarness, tmp_path: Path, status: int) -> None:
    """A PACS that refuses every request and every query is not asked without end."""
    accept(node)
    with CommittingPeer(tmp_path / "pacs", Style.REFUSE, listed=[], refuses=status) as peer:
        asking = confirmer(node, destination(peer.port), commitment_attempts=1)
        asked = 0
        for _ in range(8):
            asked += asking.confirm_due()
            node.clock.tick(900)
    assert asked == 3
    assert statuses(node) == ["accepted", "accepted"]
    assert reasons(node) == {f"accepted; the query was refused with 0x{status:04X}"}


def test_a_pacs_that_neither_reports_nor_lists_stays_at_accepted(
    node: StoreHarness, tmp_path: Path
) -> None:
    """And says why."""
    accept(node)
    with CommittingPeer(tmp_path / "pacs", Style.NEVER) as peer:
        asking = confirmer(
            node, destination(peer.port), commitment_attempts=1, commitment_wait_seconds=0
        )
        for _ in range(3):
            asking.confirm_due()
            node.clock.tick(900)
    assert len(peer.requests) == 1
    assert reasons(node) == {
        "accepted; cannot be verified: no report came, and no query is offered"
    }


def test_a_pacs_that_offers_neither_stays_at_accepted(node: StoreHarness, tmp_path: Path) -> None:
    """And says so, and is asked no more."""
    accept(node)
    with Peer(tmp_path / "pacs") as peer:
        asking = confirmer(node, destination(peer.port))
        assert asking.confirm_due() == 1
        node.clock.tick(86_400)
        assert asking.confirm_due() == 0
    assert statuses(node) == ["accepted", "accepted"]
    assert reasons(node) == {
        "accepted; cannot be verified: neither storage commitment nor a query is offered"
    }


def test_required_commitment_names_a_destination_that_offers_none(
    node: StoreHarness, tmp_path: Path
) -> None:
    """`commitment: true` asks again, and only then looks."""
    accept(node)
    with CommittingPeer(tmp_path / "pacs", Style.SILENT, listed=[]) as peer:
        insisting = destination(peer.port).model_copy(update={"commitment": True})
        confirmer(node, insisting).confirm_due()
    assert reasons(node) == {"accepted; the destination does not offer storage commitment"}


def test_a_pacs_that_went_away_is_asked_later(node: StoreHarness) -> None:
    """That does not count as a question."""
    accept(node)
    confirmer(node, destination(free_port())).confirm_due()
    assert {row["asked"] for row in node.rows("deliveries")} == {0}
    assert statuses(node) == ["accepted", "accepted"]
    assert all(row["confirm_at"] for row in node.rows("deliveries"))


def test_commitment_is_requested_once_the_whole_shipment_is_accepted(node: StoreHarness) -> None:
    """Objects are accepted one by one; a question for each would be seven where one does."""
    node.finish(node.work(), "pacs")
    outbox, commitments = node.store.outbox, node.store.commitments
    shipment = outbox.claim("deliverer-1", node.clock.after(60))
    assert shipment is not None
    for number, delivery in enumerate(shipment.deliveries):
        assert commitments.claim("deliverer-1", node.clock.after(60)) is None, number
        accepted = Settlement(
            delivery_id=delivery.id, event=DeliveryEvent.ACCEPTED, status_code=0,
            reason="stored", confirm=True,
        )  # fmt: skip
        outbox.settle(shipment, [accepted])
    query = commitments.claim("deliverer-1", node.clock.after(60))
    assert query is not None
    assert len(query.deliveries) == len(shipment.deliveries) == 2


def test_a_kill_between_question_and_answer_loses_nothing(node: StoreHarness) -> None:
    """The transaction is in the database before anybody is asked; its report finds it."""
    accept(node)
    commitments = node.store.commitments
    query = commitments.claim("deliverer-1", node.clock.after(60))
    assert query is not None
    commitments.request(query)
    assert node.store.release("deliverer-1") == 2  # the process is dead
    again = commitments.claim("deliverer-1", node.clock.after(60))
    assert again is not None
    with pytest.raises(LeaseLost):
        commitments.request(query)  # a paused one that wakes up sends nothing
    kept = CommitmentReport(transaction_uid=query.transaction_uid, kept=query.references)
    assert commitments.report(kept, send_at=node.clock.now, most=3)
    assert statuses(node) == ["committed", "committed"]
    commitments.put_off(again, "no report", node.clock.after(5), asked=True)
    assert statuses(node) == ["committed", "committed"]


def test_an_older_request_cannot_say_that_something_is_lost(node: StoreHarness) -> None:
    """The object may have been sent again since."""
    accept(node)
    commitments = node.store.commitments
    queries = []
    for _ in range(2):
        query = commitments.claim("deliverer-1", node.clock.after(60))
        assert query is not None
        commitments.request(query)
        commitments.put_off(query, "no report", node.clock.now, asked=True)
        queries.append(query)
    first, newest = queries
    lost = tuple(Failure(reference=each, code=0x0112) for each in first.references)
    for asked, after in ((first, "accepted"), (newest, "pending")):
        report = CommitmentReport(transaction_uid=asked.transaction_uid, missing=lost)
        assert commitments.report(report, send_at=node.clock.now, most=3)
        assert statuses(node) == [after, after]


@pytest.mark.parametrize(
    "asked",
    [
        destination(1, ae_title="ARCHIVE"),
        destination(1).model_copy(update={"host": "192.0.2.1"}),
        destination(1, "other"),
    ],
    ids=["AE title", "address", "gone"],
)
def test_a_report_of_a_peer_that_was_not_asked_is_refused(
    node: StoreHarness, tmp_path: Path, asked: DicomDestination
) -> None:
    """It neither commits nor misses anything, whatever transaction it names; it is audited."""
    accept(node)
    query = node.store.commitments.claim("deliverer-1", node.clock.after(60))
    assert query is not None
    node.store.commitments.request(query)
    with (
        listening(node, tmp_path, asked) as receiver,
        CommittingPeer(tmp_path / "pacs", Style.NEVER, node_port=receiver.ports[0]) as peer,
    ):
        peer.report_elsewhere(None, (query.transaction_uid, query.references))
    assert peer.report_statuses == [0x0115]
    assert statuses(node) == ["accepted"] * 2
    assert AuditKind.COMMITMENT_REFUSED in node.kinds()


@pytest.mark.parametrize("known", [True, False])
def test_a_report_without_a_request_is_refused(
    node: StoreHarness, tmp_path: Path, known: bool
) -> None:
    """0115H, and nothing happens; nor does a report of one study commit another's objects."""
    accept(node)
    node.finish(node.work("1.3"), "pacs")
    settle(node)
    commitments = node.store.commitments
    query = commitments.claim("deliverer-1", node.clock.after(60))
    assert query is not None
    commitments.request(query)
    others = [
        Reference(sop_class_uid=SC, sop_instance_uid=row["sop_instance_uid"])
        for row in node.rows("deliveries")
        if row["study_instance_uid"] != query.study_instance_uid
    ]
    request = (query.transaction_uid if known else "2.25.4711", tuple(others))
    with (
        listening(node, tmp_path) as receiver,
        CommittingPeer(tmp_path / "pacs", Style.NEVER, node_port=receiver.ports[0]) as peer,
    ):
        peer.report_elsewhere(None, request)
    assert peer.report_statuses == [0x0000 if known else 0x0115]
    assert statuses(node) == ["accepted"] * 4


def test_a_destination_is_asked_only_where_that_makes_sense(node: StoreHarness) -> None:
    """One that is gone from the configuration, or not to be asked, ends at accepted."""
    accept(node)
    asking = confirmer(node, destination(free_port(), name="other"))
    asking = Confirmer(**{**_fields(asking), "verifiers": {}})
    assert asking.confirm_due() == 1
    assert asking.confirm_due() == 0
    assert statuses(node) == ["accepted", "accepted"]


def _fields(confirmer: Confirmer) -> dict[str, Any]:
    return {name: getattr(confirmer, name) for name in Confirmer.__dataclass_fields__}
