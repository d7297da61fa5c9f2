"""How much is taken: disk, size, silence."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydicom.uid import ComputedRadiographyImageStorage
from structlog.testing import capture_logs
from support.receiving import (
    MemoryStore,
    RawPeer,
    association,
    encoded,
    eventually,
    receiver,
    send,
    small_film,
)

from dicom_node.config import SpoolConfig
from dicom_node.domain.audit import AuditKind
from dicom_node.receive import disk_space
from dicom_node.receive.limits import Limits
from dicom_node.receive.scp import Receiver

CR = str(ComputedRadiographyImageStorage)
MIB = 2**20


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def node(tmp_path: Path, store: MemoryStore) -> Iterator[Receiver]:
    spool = SpoolConfig(min_free_mb=100, max_object_mb=1)
    with receiver(tmp_path, store, spool=spool) as running:
        yield running


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The disk, with as many MiB free as `mb` says."""
    disk = SimpleNamespace(mb=1000)

    def look(_: object) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=disk.mb, f_frsize=MIB)

    monkeypatch.setattr(disk_space, "os", SimpleNamespace(statvfs=look))
    return disk


def kinds(store: MemoryStore) -> list[AuditKind]:
    return [kind for kind in store.kinds() if kind.value.startswith("disk")]


def test_below_the_watermark_films_are_refused_until_there_is_room_again(
    node: Receiver, store: MemoryStore, free: SimpleNamespace, tmp_path: Path
) -> None:
    """0xA700 before a byte is written; taken again a tenth above, so that it does not flutter."""
    film = small_film()
    assert send(node.ports[0], film) == 0x0000
    free.mb = 99
    assert send(node.ports[0], small_film(seed=1)) == 0xA700
    assert send(node.ports[0], small_film(seed=2)) == 0xA700
    free.mb = 105
    assert send(node.ports[0], small_film(seed=3)) == 0xA700
    free.mb = 111
    assert send(node.ports[0], small_film(seed=4)) == 0x0000
    assert kinds(store) == [AuditKind.DISK_LOW, AuditKind.DISK_RECOVERED]
    assert len(list((tmp_path / "spool").rglob("*.dcm"))) == 2


def test_an_echo_is_answered_while_the_disk_is_full(node: Receiver, free: SimpleNamespace) -> None:
    """A full disk is no reason to look dead."""
    free.mb = 0
    with association(node.ports[0]) as assoc:
        assert assoc.send_c_echo().Status == 0x0000


def test_an_object_without_end_is_refused_and_leaves_nothing(
    node: Receiver, store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes go nowhere as soon as it is too large; the answer comes at its end."""
    monkeypatch.setattr("dicom_node.receive.arrival.CHECK_EVERY_BYTES", 64 * 1024)
    ds = small_film()
    with RawPeer(node.ports[0], CR) as peer:
        peer.command(ds.SOPInstanceUID)
        peer.data(encoded(ds), last=False)
        for _ in range(80):
            peer.data(b"\0" * 16000, last=False)
        assert eventually(lambda: not list((tmp_path / "spool/incoming").iterdir()))
        peer.data(b"\0" * 16)
        assert peer.status() == 0xC000
    assert [e.detail["reason"] for e in store.events if e.kind is AuditKind.INSTANCE_REFUSED] == [
        "more than 1 MiB"
    ]


def test_forty_half_open_sockets_do_not_keep_an_echo_out(
    tmp_path: Path, store: MemoryStore
) -> None:
    """Each is gone after the ARTIM time; meanwhile echoes are answered at once."""
    soon = Limits(grace_checks=0)
    with receiver(tmp_path, store, limits=soon, max_associations=1, artim_seconds=3.0) as node:
        silent = [
            socket.create_connection(("127.0.0.1", node.ports[0]), timeout=5) for _ in range(40)
        ]
        started = time.monotonic()
        with association(node.ports[0]) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
        assert time.monotonic() - started < 2.9
        assert all(connection.recv(10)[:1] in (b"", b"\7") for connection in silent)
        assert time.monotonic() - started < 9
        for connection in silent:
            connection.close()


def _pdu(kind: int, content: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBI", kind, 0, len(content) if length is None else length) + content


HEAD = b"\0\1\0\0" + b"AINODE".ljust(16) + b"RAW".ljust(16) + b"\0" * 32


@pytest.mark.parametrize(
    "request_",
    [
        _pdu(1, b""),
        _pdu(1, b"x" * 100, 0xFFFFFFF0),
        _pdu(1, HEAD + struct.pack(">BBH", 0x10, 0, 60000) + b"zz"),
        _pdu(1, HEAD + struct.pack(">BBH", 0x20, 0, 4) + b"\1\0\0\0"),
        _pdu(1, b"\0\1\0\0" + b"\xff" * 32 + b"\0" * 32),
        _pdu(0xFF, b"abcd"),
        _pdu(4, struct.pack(">IBB", 90000, 1, 3)),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["empty", "4 GiB", "lying item", "no syntaxes", "8-bit titles", "no PDU", "P-DATA", "HTTP"],
)
def test_malformed_requests_end_in_bounded_time_without_a_traceback(
    tmp_path: Path, store: MemoryStore, capfd: pytest.CaptureFixture[str], request_: bytes
) -> None:
    """Whatever comes instead of an A-ASSOCIATE-RQ: the connection ends, the next is served."""
    with (
        capture_logs() as logs,
        receiver(tmp_path, store, artim_seconds=0.3, network_timeout_seconds=0.5) as node,
    ):
        with socket.create_connection(("127.0.0.1", node.ports[0]), timeout=10) as peer:
            peer.sendall(request_)
            started = time.monotonic()
            try:
                while peer.recv(65536):
                    pass
            except OSError:
                pass
            assert time.monotonic() - started < 6
        with association(node.ports[0]) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
    assert "Traceback" not in repr(logs) + "".join(capfd.readouterr())


def test_a_pdu_that_says_it_is_huge_costs_no_memory(node: Receiver) -> None:
    """A length of 4 GiB is not believed before the bytes are there."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    before = resident()
    with RawPeer(node.ports[0], CR) as peer:
        peer.socket.sendall(struct.pack(">BBI", 4, 0, 0xFFFFFFF0) + b"\0" * 1000)
        time.sleep(0.2)
        assert resident() - before < 100 * MIB


@pytest.mark.parametrize(
    "element",
    [
        struct.pack("<HHI", 0, 0x0110, 1) + b"\1",
        struct.pack("<HHI", 0, 0x0100, 0xFFFFFFF0) + b"\1\0",
        b"\xde\xad\xbe\xef" * 5,
    ],
    ids=["a number of one byte", "a value of 4 GiB", "noise"],
)
def test_a_command_set_that_is_none_is_aborted(node: Receiver, element: bytes) -> None:
    """Wrong lengths end this association with an A-ABORT, and no thread dies of them."""
    with RawPeer(node.ports[0], CR) as peer:
        peer.send((3, element))
        assert peer.socket.recv(100)[:1] == b"\7"
    with association(node.ports[0]) as assoc:
        assert assoc.send_c_echo().Status == 0x0000
