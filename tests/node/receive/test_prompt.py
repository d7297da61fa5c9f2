"""The connection of an association: whole reads, prompt acknowledgements, no waiting by sleep."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

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

    def _is_transport_event(self) -> bool:
        return False


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
