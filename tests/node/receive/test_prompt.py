"""The connection of an association: whole reads, prompt acknowledgements, no waiting by sleep."""

from __future__ import annotations

import os
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydicom.uid import CTImageStorage
from pynetdicom import AE
from pynetdicom.sop_class import _STORAGE_CLASSES
from support.receiving import VERIFICATION, MemoryStore, receiver

from dicom_node.receive.prompt import PromptConnection


class Wrapped:
    """What pynetdicom wraps a socket in."""

    def __init__(self, own: socket.socket) -> None:
        self.socket = own


class UpperLayerThread:
    """The part of pynetdicom's upper layer that a connection changes."""

    def __init__(self, own: socket.socket) -> None:
        self.socket = Wrapped(own)
        self.event_queue: queue.Queue[str] = queue.Queue()
        self.state_machine = SimpleNamespace(current_state="Sta6")
        self._kill_thread = False
        self.given: list[bytes] = []  # PDUs that reach the state machine
        self.receive: Callable[[int], bytes] = lambda _: b""

    def _is_transport_event(self) -> bool:
        return False

    def _read_pdu_data(self) -> None:
        head = self.receive(6)
        self.given.append(head + self.receive(int.from_bytes(head[2:], "big")))


class Acceptor:
    """An association that was not started."""

    def __init__(self, own: socket.socket) -> None:
        self.dul = UpperLayerThread(own)


@pytest.fixture
def ends() -> Iterator[tuple[PromptConnection, socket.socket, socket.socket]]:
    """A connection, its own socket and its peer's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        own, _ = server.accept()
    own.settimeout(5.0)
    connection = PromptConnection(Acceptor(own))  # type: ignore[arg-type]
    with own, peer:
        yield connection, own, peer
    connection.close()


def test_a_pdu_in_pieces_is_read_whole(
    ends: tuple[PromptConnection, socket.socket, socket.socket],
) -> None:
    """However a peer cuts what it sends, as many bytes are read as were asked for."""
    connection, _, peer = ends
    sent = os.urandom(3 * 2**20)
    peer.sendall(sent[:7])
    thread = threading.Thread(target=peer.sendall, args=(sent[7:],))
    thread.start()
    assert connection.receive(len(sent)) == sent
    thread.join()


def test_a_length_that_lies_takes_no_memory(
    ends: tuple[PromptConnection, socket.socket, socket.socket],
) -> None:
    """A PDU that claims four gigabytes and ends after ten bytes is ten bytes."""
    connection, _, peer = ends
    peer.sendall(bytes(10))
    peer.shutdown(socket.SHUT_WR)
    assert connection.receive(2**32 - 1) == bytes(10)


def test_what_arrived_is_acknowledged_at_once(
    ends: tuple[PromptConnection, socket.socket, socket.socket],
) -> None:
    """After a read the kernel does not wait for an answer to carry the acknowledgement."""
    connection, own, peer = ends
    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
    peer.sendall(b"x")
    connection.receive(1)
    assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1


class DataSet:
    """Takes fragments until the last one."""

    amid = True

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def take(self, body: memoryview) -> bool:
        if body[5]:
            return False
        self.parts.append(bytes(body[6:]))
        return True


def fragment(content: bytes, *, last: bool = False) -> bytes:
    """A P-DATA-TF with one fragment of a data set, PS3.8 9.3.5."""
    value = struct.pack(">IBB", len(content) + 2, 1, 2 * last) + content
    return struct.pack(">BxI", 4, len(value)) + value


def test_fragments_within_a_data_set_pass_the_state_machine_by(
    ends: tuple[PromptConnection, socket.socket, socket.socket],
) -> None:
    """It sees the last one, whole, and what follows is read from the socket again."""
    connection, _, peer = ends
    upper_layer, connection.data = connection._dul, DataSet()
    upper_layer.receive = connection.receive
    parts, last = [os.urandom(1000), os.urandom(128 * 2**10 - 6)], fragment(b"end", last=True)
    sent = b"".join([*map(fragment, parts), last, b"next"])
    thread = threading.Thread(target=peer.sendall, args=(sent,))
    thread.start()
    while not upper_layer.given:
        assert upper_layer._is_transport_event() in (True, False)
    thread.join()
    assert connection.data.parts == parts
    assert upper_layer.given == [last]
    assert connection.receive(4) == b"next"


def test_a_long_data_set_lets_the_timers_be_restarted(
    ends: tuple[PromptConnection, socket.socket, socket.socket],
) -> None:
    """Else a sender that is never out of data would be taken for a silent one."""
    connection, _, peer = ends
    connection.data = data = DataSet()
    peer.sendall(100 * fragment(b"part"))
    assert connection._dul._is_transport_event()
    assert 0 < len(data.parts) < 100


@pytest.mark.parametrize("cut", [3, 6, 9, 500])
def test_a_fragment_that_is_cut_off_reaches_the_state_machine_as_far_as_it_came(
    ends: tuple[PromptConnection, socket.socket, socket.socket], cut: int
) -> None:
    """It knows what to do when a connection ends within a PDU."""
    connection, _, peer = ends
    upper_layer, connection.data = connection._dul, DataSet()
    upper_layer.receive = connection.receive
    peer.sendall(fragment(bytes(1000))[:cut])
    peer.shutdown(socket.SHUT_WR)
    while not upper_layer.given:
        upper_layer._is_transport_event()
    assert upper_layer.given == [fragment(bytes(1000))[:cut]]
    assert not connection.data.parts


def test_a_closed_connection_can_still_be_woken(
    ends: tuple[PromptConnection, socket.socket, socket.socket],
) -> None:
    """A thread that puts something into the queue of an ended association does no harm."""
    connection, own, _ = ends
    connection.close()
    connection.close()
    upper_layer = connection._dul
    upper_layer.to_provider_queue.put(None)
    assert upper_layer.to_provider_queue.get_nowait() is None
    own.close()


def test_what_is_to_be_sent_wakes_the_upper_layer(
    ends: tuple[PromptConnection, socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread waits for the connection and for the queue, not for a moment to pass."""
    monkeypatch.setattr("dicom_node.receive.waiting.WAIT_SECONDS", 1e6)
    connection, _, _ = ends
    thread = threading.Thread(target=connection._dul._is_transport_event)
    thread.start()
    connection._dul.to_provider_queue.put(None)
    thread.join(20)
    assert not thread.is_alive()


def test_an_archive_gets_an_answer_to_every_context(tmp_path: Path) -> None:
    """Of 128 proposed classes the served ones are accepted, the others rejected as unknown."""
    classes = [VERIFICATION, *list(_STORAGE_CLASSES.values())[:127]]
    ae = AE()
    for each in classes:
        ae.add_requested_context(each)
    with receiver(tmp_path, MemoryStore()) as node:
        assoc = ae.associate("127.0.0.1", node.ports[0], ae_title="AINODE")
        assert assoc.is_established
        accepted = {cx.abstract_syntax for cx in assoc.accepted_contexts}
        rejected = {cx.abstract_syntax: cx.result for cx in assoc.rejected_contexts}
        assoc.release()
    assert VERIFICATION in accepted
    assert accepted | set(rejected) == set(classes)
    assert rejected[CTImageStorage] == 3  # abstract syntax not supported, PS3.8 Table 9-18


def test_an_association_of_unknown_classes_alone_is_accepted(tmp_path: Path) -> None:
    """It has no context that could be used, as with any other peer; the release is answered."""
    ae = AE()
    ae.add_requested_context(CTImageStorage)
    with receiver(tmp_path, MemoryStore()) as node:
        assoc = ae.associate("127.0.0.1", node.ports[0], ae_title="AINODE")
        assert [cx.result for cx in assoc.rejected_contexts] == [3]
