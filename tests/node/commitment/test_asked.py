"""Storage commitment requests from peers: what the node reports, and where to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
)
from support.commitment_pacs import CommittingPeer, Style
from support.fakes import StoreHarness
from support.peer import destination
from support.receiving import MemoryStore, association

from dicom_node.commitment.datasets import request_data_set
from dicom_node.commitment.intake import Intake
from dicom_node.commitment.receive import CommitmentHandler
from dicom_node.commitment.report import Reporter
from dicom_node.config import CallingPeer, Config
from dicom_node.deliver.retry import RetryPolicy
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.commitment import PUSH_MODEL_INSTANCE, REQUEST, Reference
from dicom_node.receive.scp import Receiver
from dicom_node.store import commitment_requests

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
TRANSACTION = "2.25.42"


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[CommittingPeer]:
    with CommittingPeer(tmp_path / "peer", Style.NEVER) as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, peer: CommittingPeer) -> Config:
    own = {"ae_title": "AINODE", "host": "127.0.0.1", "data_dir": tmp_path}
    config = Config.model_validate({"node": own, "destinations": [destination(peer.port)]})
    return config.model_copy(update={"node": config.node.model_copy(update={"port": 0})})


@pytest.fixture
def receiver(node: StoreHarness, config: Config) -> Iterator[Receiver]:
    intake = Intake(node.store.commitments, config.delivery, node.clock)
    handler = CommitmentHandler(config, node.store.commitment_requests, intake)
    memory = MemoryStore()
    running = Receiver(config, memory, node.store.audit, node.clock, handlers=handler.handlers)
    running.start()
    yield running
    running.stop(drain_seconds=0.5)


def ask(
    receiver: Receiver, ds: Dataset, calling: str = "PACS",
    syntax: str = ExplicitVRLittleEndian, action: int = REQUEST,
    instance: str = PUSH_MODEL_INSTANCE,
) -> int:  # fmt: skip
    with association(
        receiver.ports[0], StorageCommitmentPushModel, syntax=syntax, calling=calling
    ) as assoc:
        said, _ = assoc.send_n_action(ds, action, StorageCommitmentPushModel, instance)
    return int(said.Status)


def request(*references: tuple[str, str], transaction: str = TRANSACTION) -> Dataset:
    return request_data_set(
        transaction,
        [Reference(sop_class_uid=kind, sop_instance_uid=uid) for kind, uid in references],
    )


def reporter(node: StoreHarness, config: Config) -> Reporter:
    return Reporter(
        owner="deliverer-1",
        requests=node.store.commitment_requests,
        config=config,
        policy=RetryPolicy.of(config.delivery),
        clock=node.clock,
        jitter=lambda: 0.0,
    )


def received(node: StoreHarness, tmp_path: Path, number: int) -> str:
    came = node.receive("1.2", number)
    path = tmp_path / came.path
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"film")
    return str(came.sop_instance_uid)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_each_instance_gets_its_answer(
    node: StoreHarness, tmp_path: Path, config: Config, receiver: Receiver, peer: CommittingPeer,
    syntax: str,
) -> None:  # fmt: skip
    """Kept, unknown, of another class, gone from disk: reported on an association of our own."""
    kept, misnamed = received(node, tmp_path, 1), received(node, tmp_path, 2)
    gone = node.receive("1.2", 3).sop_instance_uid
    asked = request((CR, kept), (CR, "1.2.99"), (DX, misnamed), (CR, gone))
    assert ask(receiver, asked, syntax=syntax) == 0x0000
    assert peer.heard == []  # the receiver only writes it down
    assert reporter(node, config).report_due() == 1
    [report] = peer.heard
    assert report.transaction_uid == TRANSACTION
    assert [each.sop_instance_uid for each in report.kept] == [kept]
    assert {each.reference.sop_instance_uid: each.code for each in report.missing} == {
        "1.2.99": 0x0112, misnamed: 0x0119, gone: 0x0112,
    }  # fmt: skip
    assert reporter(node, config).report_due() == 0
    assert {AuditKind.COMMITMENT_ASKED, AuditKind.COMMITMENT_REPORTED} <= set(node.kinds())
    [line] = [
        row for row in node.store.audit.tail(9) if row.event.kind is AuditKind.COMMITMENT_REPORTED
    ]
    assert line.event.detail["kept"] == 1


def test_our_own_results_that_came_back_are_kept(
    node: StoreHarness, tmp_path: Path, config: Config, receiver: Receiver, peer: CommittingPeer
) -> None:
    """Success was answered for them, so the node stands by it."""
    node.finish(node.work())
    [row, _] = node.rows("results")
    (tmp_path / "results").mkdir()
    (tmp_path / row["path"]).write_bytes(b"result")
    ask(receiver, request((row["sop_class_uid"], row["sop_instance_uid"])))
    reporter(node, config).report_due()
    assert [len(report.missing) for report in peer.heard] == [0]


def test_a_peer_that_is_away_gets_its_report_later(
    node: StoreHarness, tmp_path: Path, config: Config, receiver: Receiver, peer: CommittingPeer
) -> None:
    """The request is durable; a deliverer that dies with it gives it back."""
    ask(receiver, request((CR, "1.2.99")))
    peer.stop()
    assert reporter(node, config).report_due() == 1
    assert AuditKind.COMMITMENT_DEFERRED in node.kinds()
    peer.start()
    assert reporter(node, config).report_due() == 0
    node.clock.tick(5)
    assert node.store.commitment_requests.claim("deliverer-1", node.clock.after(60)) is not None
    assert node.store.release("deliverer-1") == 1
    assert reporter(node, config).report_due() == 1
    assert len(peer.heard) == 1


def test_a_request_that_comes_twice_is_one(
    node: StoreHarness, receiver: Receiver, config: Config, peer: CommittingPeer
) -> None:
    """And is answered again: the first report may have been lost."""
    for _ in range(2):
        assert ask(receiver, request((CR, "1.2.99"))) == 0x0000
        assert reporter(node, config).report_due() == 1
        node.clock.tick(60)
    assert len(node.rows("pledges")) == 1
    assert len(peer.heard) == 2


def test_a_peer_cannot_fill_the_table_of_requests(
    node: StoreHarness, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a number of open ones, 0213H; answered ones are forgotten after a day."""
    monkeypatch.setattr(commitment_requests, "MOST_OPEN", 2)
    asked = [request((CR, "1.2.99"), transaction=f"2.25.{number}") for number in range(1, 5)]
    assert [ask(receiver, ds) for ds in asked[:3]] == [0x0000, 0x0000, 0x0213]
    assert ask(receiver, asked[0]) == 0x0000  # repeated
    claimed = node.store.commitment_requests.claim("deliverer-1", node.clock.after(60))
    assert claimed is not None
    node.store.commitment_requests.reported(claimed, 0, 1)
    assert ask(receiver, asked[2]) == 0x0000
    assert len(node.rows("pledges")) == 3
    node.clock.tick(2 * 24 * 3600)
    assert ask(receiver, asked[3]) == 0x0213
    assert ask(receiver, asked[2]) == 0x0000
    assert len(node.rows("pledges")) == 2


def test_a_request_repeated_without_end_costs_little(
    node: StoreHarness, receiver: Receiver, config: Config, peer: CommittingPeer
) -> None:
    """Two audit lines, of the request and of its repetition; a report a minute at most."""
    for _ in range(5):
        assert ask(receiver, request((CR, "1.2.99"))) == 0x0000
        reporter(node, config).report_due()
    assert node.kinds().count(AuditKind.COMMITMENT_ASKED) == 2
    assert node.kinds().count(AuditKind.COMMITMENT_REPORTED) == len(peer.heard) == 1
    receiver.stop(drain_seconds=0.5)
    [*_, last] = node.store.audit.tail(1)
    assert last.event.detail["count"] == 3


def test_the_requests_of_a_peer_are_bounded_in_size_and_rate(
    node: StoreHarness, receiver: Receiver, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0213H, with one audit line for all of them; answered requests keep no list of objects."""
    monkeypatch.setattr(commitment_requests, "MOST_OBJECTS", 3)
    monkeypatch.setattr(commitment_requests, "MOST_HOURLY", 2)
    pair = (CR, "1.2.98"), (CR, "1.2.99")
    asked = [request(*pair, transaction=f"2.25.{number}") for number in range(1, 5)]
    assert [ask(receiver, ds) for ds in asked[:3]] == [0x0000, 0x0213, 0x0213]
    assert node.kinds().count(AuditKind.COMMITMENT_REFUSED) == 1
    reporter(node, config).report_due()
    assert {row["items"] for row in node.rows("pledges")} == {"[]"}
    assert ask(receiver, asked[1]) == 0x0000
    reporter(node, config).report_due()
    assert ask(receiver, asked[2]) == 0x0213
    node.clock.tick(3601)
    assert ask(receiver, asked[2]) == 0x0000


def test_a_report_is_given_up_after_a_week(
    node: StoreHarness, receiver: Receiver, config: Config, peer: CommittingPeer
) -> None:
    """A week after the request it is given up, whatever number of attempts is left."""
    ask(receiver, request((CR, "1.2.99")))
    peer.stop()
    node.clock.tick(8 * 24 * 3600)
    assert reporter(node, config).report_due() == 1
    assert AuditKind.COMMITMENT_GIVEN_UP in node.kinds()


def test_a_stranger_is_refused_at_once(node: StoreHarness, receiver: Receiver) -> None:
    """Where no address is configured no report could go."""
    assert ask(receiver, request((CR, "1.2.3")), calling="STRANGER") == 0x0110
    assert node.rows("pledges") == []


def test_a_calling_peer_with_a_port_is_no_stranger(
    node: StoreHarness, config: Config, peer: CommittingPeer
) -> None:
    """`node.allowed_calling` can say where its reports go."""
    modality = CallingPeer(ae_title="CR_ROOM_2", address="127.0.0.1", port=peer.port)
    known = config.node.model_copy(update={"allowed_calling": (modality,)})
    config = config.model_copy(update={"node": known, "destinations": ()})
    intake = Intake(node.store.commitments, config.delivery, node.clock)
    handler = CommitmentHandler(config, node.store.commitment_requests, intake)
    running = Receiver(
        config, MemoryStore(), node.store.audit, node.clock, handlers=handler.handlers
    )
    running.start()
    try:
        assert ask(running, request((CR, "1.2.3")), calling="CR_ROOM_2") == 0x0000
    finally:
        running.stop(drain_seconds=0.5)
    assert reporter(node, config).report_due() == 1
    assert len(peer.heard) == 1


def _without(ds: Dataset, keyword: str) -> Dataset:
    delattr(ds, keyword)
    return ds


@pytest.mark.parametrize(
    ("ds", "more", "status"),
    [
        (_without(request((CR, "1.2.3")), "TransactionUID"), {}, 0x0115),
        (_without(request((CR, "1.2.3")), "ReferencedSOPSequence"), {}, 0x0115),
        (request(), {}, 0x0115),
        (request((CR, "1.2.3")), {"action": 2}, 0x0123),
        (request((CR, "1.2.3")), {"instance": "1.2.3.4"}, 0x0112),
    ],
)
def test_what_is_no_request_is_refused(
    node: StoreHarness, receiver: Receiver, ds: Dataset, more: dict[str, Any], status: int
) -> None:
    """With the status that says why, and nothing written down."""
    assert ask(receiver, ds, **more) == status
    assert node.rows("pledges") == []
