"""The receiver on the wire: what it answers, what it keeps, which peers it accepts."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from structlog.testing import capture_logs
from support.receiving import (
    MemoryStore,
    RawPeer,
    association,
    association_request,
    encoded,
    eventually,
    receiver,
    send,
    small_film,
)

from dicom_node.config import CallingPeer
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.values import Instance
from dicom_node.errors import ConfigError, StoreWriteError
from dicom_node.receive.access import AccessList
from dicom_node.receive.arrival import Arrival
from dicom_node.receive.association_request import parse
from dicom_node.receive.contexts import STORED
from dicom_node.receive.limits import Limits
from dicom_node.receive.scp import Receiver

CR = str(ComputedRadiographyImageStorage)

pytestmark = pytest.mark.filterwarnings("ignore:.*for VR UI")  # pydicom on what we send it


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def node(tmp_path: Path, store: MemoryStore) -> Iterator[Receiver]:
    with receiver(tmp_path, store) as running:
        yield running


def parts(data_dir: Path) -> list[Path]:
    return list((data_dir / "spool/incoming").iterdir())


def refusals(store: MemoryStore) -> list[object]:
    kind = AuditKind.INSTANCE_REFUSED
    return [event.detail["fault"] for event in store.events if event.kind is kind]


def test_an_echo_is_answered_and_not_audited(node: Receiver, store: MemoryStore) -> None:
    """C-ECHO gets Success; probes every few seconds do not fill the audit log."""
    with association(node.ports[0]) as assoc:
        assert assoc.send_c_echo().Status == 0x0000
    node.stop()
    assert store.events == []


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless],
)
def test_success_means_kept(
    node: Receiver, store: MemoryStore, tmp_path: Path, syntax: str
) -> None:
    """After Success the film lies on disk as it was sent, with a row and an audit line."""
    ds = small_film(syntax=syntax)
    assert send(node.ports[0], ds) == 0x0000
    row = store.rows[ds.SOPInstanceUID]
    kept = dcmread(tmp_path / row.path)
    assert kept.pixel_array.tobytes() == ds.pixel_array.tobytes()
    assert kept.file_meta.TransferSyntaxUID == syntax
    assert row.calling_ae_title == "MODALITY"
    assert parts(tmp_path) == []


def test_an_association_is_audited_from_its_first_object_to_its_end(
    node: Receiver, store: MemoryStore
) -> None:
    """Accepted, each object, released: in this order, with counts and without names."""
    ds = small_film(PatientName="Secret^Name", PatientID="SECRET-ID")
    with capture_logs() as logs:
        with association(node.ports[0], CR) as assoc:
            for _ in range(2):
                assert assoc.send_c_store(ds).Status == 0x0000
        assert eventually(lambda: len(store.events) == 4)
    assert store.kinds() == [
        AuditKind.ASSOCIATION_ACCEPTED, AuditKind.INSTANCE_RECEIVED, AuditKind.INSTANCE_DUPLICATE,
        AuditKind.ASSOCIATION_ENDED,
    ]  # fmt: skip
    end = store.events[-1].detail
    assert (end["ending"], end["kept"], end["refused"]) == ("released", 2, 0)
    assert "secret" not in repr((logs, store.events)).lower()


def test_what_travels_along_is_kept_too(node: Receiver, store: MemoryStore) -> None:
    """A whole-study send of an archive sees no failure: a report is kept like a film."""
    ds = small_film(without=["PixelData", "Rows", "Columns"])
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    assert send(node.ports[0], ds) == 0x0000
    assert store.rows[ds.SOPInstanceUID].sop_class_uid == ComprehensiveSRStorage


def test_other_classes_are_not_negotiated(node: Receiver) -> None:
    """A class that is not in the table gets no presentation context."""
    assert CTImageStorage not in STORED
    with association(node.ports[0], CR, CTImageStorage) as assoc:
        assert [cx.abstract_syntax for cx in assoc.accepted_contexts] == [CR]


def without(keyword: str) -> Dataset:
    return small_film(without=[keyword])


@pytest.mark.parametrize(
    ("ds", "uid", "fault", "status"),
    [
        (small_film(), "1.2.3", "instance-mismatch", 0xA900),
        (small_film(kind="dx"), None, "class-mismatch", 0xA900),
        (without("SOPClassUID"), None, "class-mismatch", 0xA900),
        (without("SeriesInstanceUID"), None, "missing-uid", 0xA900),
        (without("PixelData"), None, "no-pixels", 0xA900),
        (small_film(Rows=65535, Columns=65535), None, "short-pixels", 0xC000),
        (small_film(), "../../escape", "uid-syntax", 0x0117),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_not_an_object_is_refused_with_its_status(
    node: Receiver, store: MemoryStore, tmp_path: Path,
    ds: Dataset, uid: str | None, fault: str, status: int,
) -> None:  # fmt: skip
    """Each fault has its status and its word in the audit log; nothing stays on disk."""
    with RawPeer(node.ports[0], CR) as peer:
        assert peer.store(uid or ds.SOPInstanceUID, encoded(ds)) == status
        assert peer.store("1.2", b"\0" * 3) == 0xC000  # the association goes on
    assert refusals(store) == [fault, "truncated"]
    assert store.rows == {}
    assert eventually(lambda: parts(tmp_path) == [])


def test_a_command_without_data_set_is_refused(node: Receiver, store: MemoryStore) -> None:
    """A C-STORE that brings nothing is answered, and so is one that brings nothing but its end."""
    with RawPeer(node.ports[0], CR) as peer:
        peer.command("1.2.3", data_set=False)
        assert peer.status() == 0xC000
        assert peer.store("1.2.3", b"") == 0xC000
    assert refusals(store) == ["no-data-set", "no-data-set"]


def test_the_class_is_that_of_the_context(node: Receiver, store: MemoryStore) -> None:
    """An object of another class than its presentation context's is refused before it comes."""
    with RawPeer(node.ports[0], CR) as peer:
        peer.sop_class = str(DigitalXRayImageStorageForPresentation)
        assert peer.store("1.2.3", encoded(small_film(kind="dx", SOPInstanceUID="1.2.3"))) == 0x0122
    assert refusals(store) == ["sop-class"]


def test_a_break_in_the_middle_leaves_nothing(
    node: Receiver, store: MemoryStore, tmp_path: Path
) -> None:
    """A sender that dies in the middle of an object leaves neither file nor row, but a line."""
    ds = small_film()
    with RawPeer(node.ports[0], CR) as peer:
        assert peer.store(ds.SOPInstanceUID, encoded(ds)) == 0x0000
        peer.command("1.2.3")
        peer.data(b"\0" * 1000, last=False)
        assert eventually(lambda: parts(tmp_path))
    assert eventually(lambda: not parts(tmp_path) and len(store.events) == 3)
    assert store.events[-1].detail["ending"] == "aborted"
    assert list(store.rows) == [ds.SOPInstanceUID]


def test_a_full_disk_is_reported_until_it_is_over(
    node: Receiver, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of Resources while the disk is full; when it is not, the same film is taken."""
    ds = small_film()
    with monkeypatch.context() as full:

        def no_space(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        full.setattr("dicom_node.receive.arrival.os.fsync", no_space)
        assert send(node.ports[0], ds) == 0xA700
    assert refusals(store) == ["resources"]
    assert send(node.ports[0], ds) == 0x0000


def test_a_disk_that_fills_up_while_bytes_come_is_answered(
    node: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error while the data set is still coming waits for its end, and is then the answer."""
    real_open = Arrival.open

    def broken(self: Arrival, abstract_syntax: str, transfer_syntax_uid: str) -> None:
        real_open(self, abstract_syntax, transfer_syntax_uid)
        assert self._file is not None
        self._file.close()
        full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - `discard` closes it
        self._file = full

    monkeypatch.setattr(Arrival, "open", broken)
    assert send(node.ports[0], small_film()) == 0xA700


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreWriteError("no audit log"), 0xA700), (ZeroDivisionError("bug"), 0x0110)],
)
def test_no_row_no_success(
    node: Receiver, store: MemoryStore, error: Exception, status: int
) -> None:
    """Whatever keeps the row from being written, the peer gets a failure and may send again."""

    def fail(_: Instance) -> None:
        raise error

    store.before_add = fail
    ds = small_film()
    with capture_logs():
        assert send(node.ports[0], ds) == status
    store.before_add = lambda _: None
    assert send(node.ports[0], ds) == 0x0000


def test_a_refusal_is_answered_even_if_it_cannot_be_audited(
    node: Receiver, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the refusal cannot be audited either, the peer still gets it."""

    def fail(*_: AuditEvent) -> None:
        raise StoreWriteError("no audit log")

    monkeypatch.setattr(store, "append", fail)
    assert send(node.ports[0], without("PixelData")) == 0xA900


@pytest.mark.parametrize(
    ("allowed", "called", "calling", "reason"),
    [
        ((), "OTHER", "MODALITY", "called-ae-title"),
        ((CallingPeer(ae_title="CT1"),), "AINODE", "MODALITY", "calling-ae-title"),
        ((CallingPeer(ae_title="MODALITY", address="10.0.0.0/8"),), "AINODE", "MODALITY",
         "calling-ae-title"),
        ((CallingPeer(ae_title="CT1"), CallingPeer(ae_title="MODALITY", address="127.0.0.1")),
         "AINODE", "MODALITY", None),
    ],
)  # fmt: skip
def test_who_may_call(
    tmp_path: Path, store: MemoryStore,
    allowed: tuple[CallingPeer, ...], called: str, calling: str, reason: str | None,
) -> None:  # fmt: skip
    """Strangers are rejected with the reason of PS3.8 Table 9-21, and audited."""
    with (
        receiver(tmp_path, store, require_called=True, allowed_calling=allowed) as node,
        association(node.ports[0], called=called, calling=calling) as assoc,
    ):
        assert assoc.is_established is (reason is None)
        assert assoc.is_rejected is (reason is not None)
    assert [event.detail["reason"] for event in store.events] == ([reason] if reason else [])


def test_an_address_that_is_none_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    """A host name in the allow-list stops the start; it would silently match no peer."""
    peer = CallingPeer(ae_title="CT1", address="ct1.hospital")
    with (
        pytest.raises(ConfigError, match="allowed_calling: CT1"),
        receiver(tmp_path, MemoryStore(), allowed_calling=(peer,)),
    ):
        pass


def test_an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_peer() -> None:
    """Mapped addresses match the list as it is written."""
    from dicom_node.config import NodeConfig
    from dicom_node.receive.associations import Link

    config = NodeConfig(allowed_calling=(CallingPeer(ae_title="A", address="10.1.0.0/16"),))
    allowed = AccessList(config)
    link = Link(address="::ffff:10.1.2.3", calling="A")
    request = parse(association_request(calling=b"A"))
    assert allowed.rejection(request, link) is None
    assert allowed.rejection(request, Link(address="fe80::1%eth0", calling="A")) is not None


def test_the_limit_counts_associations_not_connections(tmp_path: Path, store: MemoryStore) -> None:
    """Silent connections block no peer; one association too many is rejected and audited."""
    with receiver(tmp_path, store, max_associations=1) as node:
        silent = [socket.create_connection(("127.0.0.1", node.ports[0])) for _ in range(5)]
        with association(node.ports[0]) as first, association(node.ports[0]) as second:
            assert first.is_established
            assert second.is_rejected
        with association(node.ports[0]) as third:
            assert third.is_established
        for connection in silent:
            connection.close()
    assert [event.detail["reason"] for event in store.events] == ["local-limit"]


def test_a_peer_that_drips_is_cut_while_others_are_served(
    tmp_path: Path, store: MemoryStore
) -> None:
    """A request that comes a byte at a time ends with its time; echoes are answered meanwhile."""
    soon = Limits(check_seconds=0.05, grace_checks=2)
    with (
        receiver(tmp_path, store, limits=soon, network_timeout_seconds=0.5) as node,
        socket.create_connection(("127.0.0.1", node.ports[0]), timeout=5) as drip,
    ):
        drip.sendall(b"\1\0\0\0\xff\xff")
        cut = False
        deadline = time.monotonic() + 5
        while not cut and time.monotonic() < deadline:
            try:
                drip.sendall(b"\0")
            except OSError:
                cut = True
            with association(node.ports[0]) as assoc:
                assert assoc.send_c_echo().Status == 0x0000
            time.sleep(0.02)
        assert cut


def test_connections_that_say_nothing_leave_no_threads(node: Receiver) -> None:
    """What a load balancer opens and closes is gone soon after."""
    before = threading.active_count()
    for _ in range(10):
        socket.create_connection(("127.0.0.1", node.ports[0])).close()
    assert eventually(lambda: threading.active_count() <= before)


def test_a_command_set_without_end_is_aborted(node: Receiver) -> None:
    """A peer cannot fill the memory with a command that never ends."""
    with RawPeer(node.ports[0], CR) as peer:
        for _ in range(6):
            peer.send((1, b"\0" * 16000))
        assert peer.socket.recv(100)[:1] == b"\7"  # A-ABORT


def test_eight_senders_at_once(node: Receiver, store: MemoryStore, tmp_path: Path) -> None:
    """Films of eight associations at the same time are all kept, each as its own."""
    films = [small_film(seed=seed) for seed in range(8)]
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda ds=ds: answers.append(send(node.ports[0], ds)))
        for ds in films
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0x0000] * 8
    assert {str(ds.SOPInstanceUID) for ds in films} == set(store.rows)
    assert all((tmp_path / row.path).exists() for row in store.rows.values())


def test_stop_lets_an_object_on_its_way_finish(tmp_path: Path, store: MemoryStore) -> None:
    """After stop no new peer is accepted; a film in progress still gets its answer."""
    ds = small_film()
    with receiver(tmp_path, store) as node:
        port = node.ports[0]
        with RawPeer(port, CR) as peer:
            data = encoded(ds)
            peer.command(ds.SOPInstanceUID)
            peer.data(data[:1000], last=False)
            stopping = threading.Thread(target=node.stop, args=(5.0,))
            stopping.start()
            assert eventually(lambda: _refuses_connections(port))
            peer.data(data[1000:])
            assert peer.status() == 0x0000
        stopping.join()
    assert list(store.rows) == [ds.SOPInstanceUID]
    assert store.kinds()[-1] is AuditKind.ASSOCIATION_ENDED


def _refuses_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False


def test_stop_breaks_off_what_does_not_end(tmp_path: Path, store: MemoryStore) -> None:
    """An association that stays idle is aborted when its time is over."""
    with receiver(tmp_path, store) as node, RawPeer(node.ports[0], CR) as peer:
        started = time.monotonic()
        node.stop(drain_seconds=0.2)
        assert time.monotonic() - started < 4
        assert peer.socket.recv(100)[:1] in (b"\7", b"")


def test_stop_closes_a_connection_that_asked_for_nothing(
    tmp_path: Path, store: MemoryStore
) -> None:
    """And no thread dies of it."""
    with (
        receiver(tmp_path, store) as node,
        socket.create_connection(("127.0.0.1", node.ports[0]), timeout=4) as silent,
    ):
        assert eventually(lambda: bool(node._active()))
        node.stop(drain_seconds=0.2)
        assert silent.recv(1) == b""
