"""The listener for HL7 messages, over TCP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError
from support.certificates import identity
from support.peer import free_port
from support.reports import oru

from dicom_node.config import MllpConfig
from dicom_node.tls.context import ReloadingContext, client_context
from dicom_node.verdicts.acknowledge import Answer
from dicom_node.verdicts.hl7_message import read_message
from dicom_node.verdicts.mllp import MllpListener

START, END = b"\x0b", b"\x1c\r"


@contextmanager
def _listening(
    take: Callable[[bytes], Answer] = lambda block: Answer(None),
    tls: ReloadingContext | None = None,
    **keys: object,
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """A listener's port, and the senders that it turned away, with the reasons."""
    config = MllpConfig.model_validate({"port": free_port(), **keys})
    away: list[tuple[str, str]] = []
    listener = MllpListener(config, take, lambda *sender: away.append(sender), tls)
    stop = threading.Event()
    thread = threading.Thread(target=listener.run, args=(stop,))
    thread.start()
    try:
        assert listener.ready.wait(20)
        yield config.port, away
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 20)


def _is_closed(connection: socket.socket) -> bool:
    """Whether the node ends the connection; with unread bytes it is reset."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def _received(connection: socket.socket) -> bytes:
    """One block, or what came before the connection ended."""
    got = b""
    while not got.endswith(END) and (more := connection.recv(1)):  # no byte of the next
        got += more
    return got


def test_each_message_of_a_connection_is_answered_in_its_order() -> None:
    """Although they arrive in pieces."""
    with _listening(lambda block: Answer(read_message(block).header)) as (port, away):
        with _connect(port) as connection:
            both = START + oru() + END + START + oru(control_id="M2") + END
            for start in range(0, len(both), 100):
                connection.sendall(both[start : start + 100])
            assert b"MSA|AA|M1\r" in _received(connection)
            assert b"MSA|AA|M2\r" in _received(connection)
        assert away == []


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (START + b"x" * 3000 + END, "message too large"),
        (START + b"x" * 200_000, "message too large"),
        (b"GET / HTTP/1.1\r\n" + END, "not MLLP"),
        (START + b"MSH|", "silent"),
        (b"", "silent"),
    ],
)
def test_a_sender_that_does_not_keep_to_the_protocol_is_cut(sent: bytes, reason: str) -> None:
    """The next one is answered."""
    with _listening(max_message_kb=1, silent_seconds=0.3) as (port, away):
        with _connect(port) as connection:
            connection.sendall(sent)
            assert _is_closed(connection)
        _until(lambda: ("127.0.0.1", reason) in away)
        with _connect(port) as connection:
            connection.sendall(START + b"x" + END)
            assert b"MSA|AA" in _received(connection)


def test_connections_are_limited_in_number_and_by_address() -> None:
    """One that is too many, or from elsewhere, is closed without an answer."""
    with _listening(max_connections=1) as (port, away), _connect(port) as first:
        first.sendall(START + b"x" + END)
        assert _received(first)
        with _connect(port) as second:
            assert _is_closed(second)
        _until(lambda: ("127.0.0.1", "too many connections") in away)
        first.sendall(START + b"x" + END)
        assert _received(first)
    with _listening(allowed=["10.0.0.0/8"]) as (port, away), _connect(port) as other:
        assert _is_closed(other)
        _until(lambda: ("127.0.0.1", "address not allowed") in away)


def test_a_message_that_is_being_taken_is_answered_before_the_listener_stops() -> None:
    """The sender is not left without an answer."""
    begun = threading.Event()

    def slowly(_: bytes) -> Answer:
        begun.set()
        time.sleep(0.4)
        return Answer(None)

    with _listening(slowly) as (port, _):
        connection = _connect(port)
        connection.sendall(START + b"x" + END)
        begun.wait(20)
    assert b"MSA|AA" in _received(connection)
    connection.close()


def test_messages_come_by_tls_with_the_certificates_of_the_node(tmp_path: Path) -> None:
    """A sender without a certificate of the hospital gets no answer."""
    tls = ReloadingContext(identity(tmp_path, "node"))
    with _listening(tls=tls) as (port, _):
        sender = client_context(identity(tmp_path, "ris"))
        with sender.wrap_socket(_connect(port), server_hostname="localhost") as connection:
            connection.sendall(START + b"x" + END)
            assert b"MSA|AA" in _received(connection)
        with _connect(port) as plain:
            plain.sendall(START + b"x" + END)
            assert _is_closed(plain)


def test_who_may_send_must_be_said_of_a_listener_on_the_network() -> None:
    """Addresses and networks; without any, only this machine."""
    with pytest.raises(ValidationError, match="needs allowed"):
        MllpConfig(host="10.0.0.1", port=2575)
    with pytest.raises(ValidationError, match="ris"):
        MllpConfig(port=2575, allowed=("ris",))
    network = MllpConfig(host="10.0.0.1", port=2575, allowed=("10.0.0.0/24", "192.168.1.7"))
    assert [network.admits(each) for each in ("10.0.0.9", "::ffff:10.0.0.9", "10.0.1.9")] == [
        True, True, False,
    ]  # fmt: skip
    assert MllpConfig(port=2575).admits("127.0.0.1")
    assert not MllpConfig(port=2575).admits("10.0.0.9")
