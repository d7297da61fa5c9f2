"""Association requests: what DCMTK's storescp accepts is accepted; all else ends at once."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.association_requests import ABORTED, ACCEPTED, EVEN, REJECTED, echo, role, user
from support.receiving import (
    MemoryStore,
    association,
    association_request,
    eventually,
    item,
    pdu,
    proposed,
    receiver,
)

from dicom_node.domain.audit import AuditKind
from dicom_node.receive.association_request import NotUnderstood, encode, parse


def exchange(port: int, data: bytes) -> tuple[bytes, float]:
    """The first PDU of the answer, and how long it took."""
    with socket.create_connection(("127.0.0.1", port), timeout=8) as peer:
        started = time.monotonic()
        peer.sendall(data)
        try:
            return peer.recv(65536), time.monotonic() - started
        except ConnectionResetError:
            return b"", time.monotonic() - started


def answers_echo(port: int, request: bytes, context: int = 1) -> bool:
    """Whether the request is accepted and a C-ECHO in that context answered in the same one."""
    with socket.create_connection(("127.0.0.1", port), timeout=8) as peer:
        peer.sendall(request)
        if peer.recv(65536)[:1] != b"\2":
            return False
        peer.sendall(echo(context))
        answer = peer.recv(65536)
        peer.sendall(pdu(5, bytes(4)))
        return answer[:1] == b"\4" and answer[10] == context


def test_what_dcmtk_accepts_is_accepted(tmp_path: Path) -> None:
    """Every request of the table is accepted, and a C-ECHO answered."""
    with receiver(tmp_path, MemoryStore()) as node:
        refused = [
            name
            for name, changes in ACCEPTED.items()
            if not answers_echo(node.ports[0], association_request(**changes))
        ]
    assert refused == []


@pytest.mark.parametrize("number", [*EVEN, 255])
def test_a_context_keeps_the_number_that_the_peer_gave_it(tmp_path: Path, number: int) -> None:
    """PS3.8 wants odd numbers; a peer with another one gets its answers under it."""
    with receiver(tmp_path, MemoryStore()) as node:
        request = association_request(contexts=proposed(number))
        assert answers_echo(node.ports[0], request, number)


def test_the_answer_repeats_the_titles_as_they_came(tmp_path: Path) -> None:
    """PS3.8 Table 9-17: these bytes are sent back unchanged."""
    with receiver(tmp_path, MemoryStore()) as node:
        request = association_request(calling=b"R\xd6NTGEN\0")
        answer, _ = exchange(node.ports[0], request)
    assert answer[10:42] == request[10:42]


def test_a_request_that_is_not_ours_is_rejected_with_its_reason(tmp_path: Path) -> None:
    """PS3.8 Table 9-21, at once, with an audit line."""
    store = MemoryStore()
    answers = {}
    with receiver(tmp_path, store) as node:
        for name, (changes, _, _) in REJECTED.items():
            answer, seconds = exchange(node.ports[0], association_request(**changes))
            answers[name] = (answer[:1], tuple(answer[7:10]))
            assert seconds < 4
    assert answers == {name: (b"\3", wire) for name, (_, wire, _) in REJECTED.items()}
    reasons = {event.detail["reason"] for event in store.events}
    assert reasons == {reason for _, _, reason in REJECTED.values()}


def test_what_is_not_understood_is_aborted_at_once_with_a_reason(tmp_path: Path) -> None:
    """A-ABORT of the service provider (source 2) with a reason of PS3.8 Table 9-26; audited."""
    answers = {}
    store = MemoryStore()
    with receiver(tmp_path, store) as node:
        for name, (data, _) in ABORTED.items():
            answer, seconds = exchange(node.ports[0], data)
            answers[name] = (answer[:1], tuple(answer[8:10]))
            assert seconds < 4
        with association(node.ports[0]) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
    assert _times(store) == len(ABORTED)
    assert answers == {name: (b"\7", (2, reason)) for name, (_, reason) in ABORTED.items()}


def _times(store: MemoryStore) -> int:
    rejected = [e for e in store.events if e.kind is AuditKind.ASSOCIATION_REJECTED]
    assert all(event.detail["reason"] == "malformed" for event in rejected)
    return sum(int(str(event.detail.get("count", 1))) for event in rejected)


def test_noise_in_an_association_ends_it_with_an_audit_line(tmp_path: Path) -> None:
    """Also if the peer has stored nothing."""
    store = MemoryStore()
    with (
        receiver(tmp_path, store) as node,
        socket.create_connection(("127.0.0.1", node.ports[0]), timeout=8) as peer,
    ):
        peer.sendall(association_request())
        assert peer.recv(65536)[:1] == b"\2"
        peer.sendall(pdu(9, b"noise"))
        answer = peer.recv(65536)
        assert (answer[:1], tuple(answer[8:10])) == (b"\7", (2, 1))
        assert eventually(lambda: AuditKind.ASSOCIATION_ENDED in store.kinds())
    assert store.events[-1].detail["ending"] == "aborted"


def test_a_passcode_is_never_printed() -> None:
    """The user identity of a request shows its type only."""
    request = parse(association_request(user=user(item(0x58, b"\2\0\0\3ct1\0\6sesame"))))
    assert request.identity is not None
    assert request.identity.secondary == b"sesame"
    assert "sesame" not in repr(request)


@given(st.binary(max_size=300), st.integers(0, 200))
def test_any_bytes_are_a_request_or_are_not(noise: bytes, at: int) -> None:
    """Damage gives a request that can be encoded again, or NotUnderstood; nothing else."""
    data = bytearray(association_request(user=user(role(b"\1\1"), item(0x58, b"\2\0\0\3ct1\0\0"))))
    data[at : at + len(noise)] = noise
    try:
        request = parse(bytes(data))
    except NotUnderstood:
        return
    again = parse(encode(request))
    assert (again.application_context, again.version % 2) == ("1.2.840.10008.3.1.1.1", 1)
    assert len(again.contexts) == min(len(request.contexts), 128)
