"""Association requests: what DCMTK's storescp accepts is accepted; all else ends at once.

The table was measured: DCMTK 3.6.7 accepts each of `ACCEPTED` and answers the C-ECHO. Of `ENDED` it
leaves many without an answer; the node rejects or aborts them with a reason.
"""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.receiving import (
    VERIFICATION,
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

UID = VERIFICATION.encode()
IMPLICIT = b"1.2.840.10008.1.2"


def user(
    *more: bytes, longest: bytes | None = b"\0\0\x40\0", implementation: bytes = b"1.2.3"
) -> bytes:
    items = item(0x51, longest) if longest is not None else b""
    return item(0x50, items + item(0x52, implementation) + b"".join(more))


def role(value: bytes, length: int = len(UID)) -> bytes:
    return item(0x54, struct.pack(">H", length) + UID + value)


ACCEPTED = {
    "plain": {},
    "unknown sub-item 5F": {"user": user(item(0x5F, b"abcd"))},
    "unknown sub-item FF": {"user": user(item(0xFF, b""))},
    "unknown item 7F": {"after": item(0x7F, b"abc")},
    "unknown item 00": {"after": item(0, b"")},
    "padding at the end": {"after": bytes(8)},
    "version name of 17 characters": {"user": user(item(0x55, b"VERSION_12345_678"))},
    "version name with NUL": {"user": user(item(0x55, b"ABC\0"))},
    "version name in Latin-1": {"user": user(item(0x55, b"Bj\xf6rn 1.0"))},
    "version name empty": {"user": user(item(0x55, b""))},
    "calling title with NULs": {"calling": b"FIELD".ljust(16, b"\0")},
    "called title with NULs": {"called": b"AINODE".ljust(16, b"\0")},
    "calling title with an umlaut": {"calling": b"R\xd6NTGEN"},
    "calling title with a control character": {"calling": b"A\x01B"},
    "calling title with a backslash": {"calling": b"A\\B"},
    "calling title after spaces": {"calling": b"  FIELD"},
    "calling title with bytes after a NUL": {"calling": b"FIELD\0garbage"},
    "no Maximum Length": {"user": user(longest=None)},
    "Maximum Length of two bytes": {"user": user(longest=b"\x40\0")},
    "Maximum Length 0": {"user": user(longest=bytes(4))},
    "Maximum Length FFFFFFFF": {"user": user(longest=b"\xff" * 4)},
    "Maximum Length of one byte": {"user": user(longest=b"\0\0\0\1")},
    "no user information": {"user": b""},
    "empty user information": {"user": item(0x50, b"")},
    "user information twice": {"after": user()},
    "implementation UID that is not one": {"user": user(implementation=b"not a uid")},
    "implementation UID empty": {"user": user(implementation=b"")},
    "implementation UID of 70 characters": {"user": user(implementation=b"1." + b"2" * 68)},
    "implementation UID with a leading zero": {"user": user(implementation=b"1.02.3")},
    "protocol version 3": {"version": 3},
    "protocol version FFFF": {"version": 0xFFFF},
    "application context with NUL": {"application": b"1.2.840.10008.3.1.1.1\0"},
    "reserved bytes": {"reserved": b"\xff" * 32},
    "user identity of an unknown type": {"user": user(item(0x58, b"\x09\0\0\1a\0\0"))},
    "user identity cut off": {"user": user(item(0x58, b"\2\0\0\x5aa"))},
    "user identity with response": {"user": user(item(0x58, b"\1\1\0\1a\0\0"))},
    "asynchronous operations": {"user": user(item(0x53, b"\0\5\0\5"))},
    "asynchronous operations cut off": {"user": user(item(0x53, b"\0"))},
    "role selection": {"user": user(role(b"\1\1"))},
    "role selection of nothing": {"user": user(role(b"\0\0"))},
    "role selection of 7": {"user": user(role(b"\7\7"))},
    "role selection cut off": {"user": user(item(0x54, b"\0"))},
    "role selection that overruns": {"user": user(role(b"\1\1", 200))},
    "extended negotiation": {"user": user(item(0x56, struct.pack(">H", 17) + UID + b"\1\1"))},
    "extended negotiation cut off": {"user": user(item(0x56, b"\0\x99"))},
    "common extended negotiation cut off": {"user": user(item(0x57, b"\0\x99"))},
    "contexts of one number": {"contexts": proposed(1) + proposed(1)},
    "one syntax in two contexts": {"contexts": proposed(1) + proposed(3)},
    "128 contexts": {"contexts": b"".join(map(proposed, range(1, 256, 2)))},
    "256 contexts": {"contexts": b"".join(map(proposed, (*range(1, 256), 0)))},
    "context without abstract syntax beside": {"contexts": proposed(3, None) + proposed(1)},
    "context without transfer syntax beside": {"contexts": proposed(3, UID, ()) + proposed(1)},
    "abstract syntax that is not a UID": {"contexts": proposed(3, b"1.2.foo") + proposed(1)},
    "abstract syntax of 72 characters": {"contexts": proposed(3, b"1." + b"2" * 70) + proposed(1)},
    "transfer syntax that is not a UID": {"contexts": proposed(1, UID, (b"foo", IMPLICIT))},
    "transfer syntax with a leading zero": {"contexts": proposed(1, UID, (b"1.02.3", IMPLICIT))},
    "abstract syntax with NUL": {"contexts": proposed(1, UID + b"\0")},
    "abstract syntax with a space": {"contexts": proposed(1, UID + b" ")},
    "transfer syntax with NUL": {"contexts": proposed(1, UID, (IMPLICIT + b"\0",))},
    "unknown item in a context": {
        "contexts": item(
            0x20, b"\1\7\7\7" + item(0x30, UID) + item(0x45, b"x") + item(0x40, IMPLICIT)
        )
    },
    "transfer syntax first": {
        "contexts": item(0x20, b"\1\0\0\0" + item(0x40, IMPLICIT) + item(0x30, UID))
    },
    "items in another order": {
        "application": None, "contexts": b"", "user": b"",
        "after": user() + proposed(1) + item(0x10, b"1.2.840.10008.3.1.1.1"),
    },
}  # fmt: skip

REJECTED = {
    "protocol version 0": ({"version": 0}, (1, 2, 2), "protocol-version"),
    "protocol version 2": ({"version": 2}, (1, 2, 2), "protocol-version"),
    "private application context": ({"application": b"1.2.3"}, (1, 1, 2), "application-context"),
    "no application context": ({"application": None}, (1, 1, 2), "application-context"),
    "application context noise": ({"application": b"\xff\xfe"}, (1, 1, 2), "application-context"),
    "calling title of spaces": ({"calling": b""}, (1, 1, 3), "calling-ae-title"),
    "calling title of NULs": ({"calling": bytes(16)}, (1, 1, 3), "calling-ae-title"),
    "called title of spaces": ({"called": b""}, (1, 1, 7), "called-ae-title"),
}  # fmt: skip

ABORTED = {
    "empty": (pdu(1, b""), 6),
    "ten bytes": (pdu(1, b"\0\1\0\0abcdef"), 6),
    "4 GiB": (struct.pack(">BBI", 1, 0, 0xFFFFFFF0) + b"x" * 100, 6),
    "2 MiB": (struct.pack(">BBI", 1, 0, 2**21) + b"x" * 100, 6),
    "item cut off": (association_request(after=b"\x10\0\x27\x0fzz"), 6),
    "sub-item cut off": (association_request(user=item(0x50, b"\x51\0\0\x63\0\0\x40\0")), 6),
    "context cut off": (association_request(contexts=item(0x20, b"\1\0")), 6),
    "context item cut off": (
        association_request(contexts=item(0x20, b"\1\0\0\0\x30\0\0\x63" + UID)), 6,
    ),
    "noise at the end": (association_request(after=b"x"), 6),
    "unknown PDU FF": (pdu(0xFF, b"abcd"), 1),
    "unknown PDU 00": (pdu(0, b"abcd"), 1),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 400, 1),
    "P-DATA before a request": (pdu(4, struct.pack(">IBB", 4, 1, 3) + b"ab"), 2),
    "A-RELEASE before a request": (pdu(5, bytes(4)), 2),
    "A-ASSOCIATE-AC before a request": (pdu(2, b"\0\1" + bytes(66)), 2),
    "A-ASSOCIATE-RJ before a request": (pdu(3, b"\0\1\1\1"), 2),
}  # fmt: skip


def exchange(port: int, data: bytes) -> tuple[bytes, float]:
    """The first PDU of the answer, and how long it took."""
    with socket.create_connection(("127.0.0.1", port), timeout=8) as peer:
        started = time.monotonic()
        peer.sendall(data)
        try:
            return peer.recv(65536), time.monotonic() - started
        except ConnectionResetError:
            return b"", time.monotonic() - started


def echo(context: int) -> bytes:
    elements = b"".join(
        struct.pack("<HHI", 0, number, len(value)) + value
        for number, value in (
            (2, UID + b"\0"),
            (0x100, b"\x30\0"),
            (0x110, b"\1\0"),
            (0x800, b"\1\1"),
        )
    )
    command = struct.pack("<HHII", 0, 0, 4, len(elements)) + elements
    return pdu(4, struct.pack(">IBB", len(command) + 2, context, 3) + command)


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
            if not answers_echo(node.ports[0], association_request(**changes))  # type: ignore[arg-type]
        ]
    assert refused == []


@pytest.mark.parametrize("number", [0, 2, 254, 255])
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
            answer, seconds = exchange(node.ports[0], association_request(**changes))  # type: ignore[arg-type]
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
        assert eventually(lambda: _times(store) == len(ABORTED))
    assert answers == {name: (b"\7", (2, reason)) for name, (_, reason) in ABORTED.items()}


def _times(store: MemoryStore) -> int:
    rejected = [e for e in store.events if e.kind is AuditKind.ASSOCIATION_REJECTED]
    assert all(event.detail["reason"] == "malformed" for event in rejected)
    return len(rejected)


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
