"""Association requests as they arrive from the field, legal or not."""

from __future__ import annotations

import struct
from typing import Any

from support.receiving import VERIFICATION, association_request, item, pdu, proposed

_UID = VERIFICATION.encode()
_IMPLICIT = b"1.2.840.10008.1.2"


def user(
    *more: bytes, longest: bytes | None = b"\0\0\x40\0", implementation: bytes = b"1.2.3"
) -> bytes:
    """User information, with further sub-items."""
    items = item(0x51, longest) if longest is not None else b""
    return item(0x50, items + item(0x52, implementation) + b"".join(more))


def role(value: bytes, length: int = len(_UID)) -> bytes:
    """A role selection of Verification; its length may be wrong."""
    return item(0x54, struct.pack(">H", length) + _UID + value)


#: Requests that are accepted, and C-ECHO answered: name -> arguments of `association_request`.
ACCEPTED: dict[str, dict[str, Any]] = {
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
    "extended negotiation": {"user": user(item(0x56, struct.pack(">H", 17) + _UID + b"\1\1"))},
    "extended negotiation cut off": {"user": user(item(0x56, b"\0\x99"))},
    "common extended negotiation cut off": {"user": user(item(0x57, b"\0\x99"))},
    "contexts of one number": {"contexts": proposed(1) + proposed(1)},
    "one syntax in two contexts": {"contexts": proposed(1) + proposed(3)},
    "128 contexts": {"contexts": b"".join(map(proposed, range(1, 256, 2)))},
    "256 contexts": {"contexts": b"".join(map(proposed, (*range(1, 256), 0)))},
    "context without abstract syntax beside": {"contexts": proposed(3, None) + proposed(1)},
    "context without transfer syntax beside": {"contexts": proposed(3, _UID, ()) + proposed(1)},
    "abstract syntax that is not a UID": {"contexts": proposed(3, b"1.2.foo") + proposed(1)},
    "abstract syntax of 72 characters": {"contexts": proposed(3, b"1." + b"2" * 70) + proposed(1)},
    "transfer syntax that is not a UID": {"contexts": proposed(1, _UID, (b"foo", _IMPLICIT))},
    "transfer syntax with a leading zero": {"contexts": proposed(1, _UID, (b"1.02.3", _IMPLICIT))},
    "abstract syntax with NUL": {"contexts": proposed(1, _UID + b"\0")},
    "abstract syntax with a space": {"contexts": proposed(1, _UID + b" ")},
    "transfer syntax with NUL": {"contexts": proposed(1, _UID, (_IMPLICIT + b"\0",))},
    "unknown item in a context": {
        "contexts": item(
            0x20, b"\1\7\7\7" + item(0x30, _UID) + item(0x45, b"x") + item(0x40, _IMPLICIT)
        )
    },
    "transfer syntax first": {
        "contexts": item(0x20, b"\1\0\0\0" + item(0x40, _IMPLICIT) + item(0x30, _UID))
    },
    "maximum length of 2 GiB": {"user": user(longest=b"\x7f\xff\xff\xff")},
    "version name of 300 characters": {"user": user(item(0x55, b"V" * 300))},
    "200 unknown sub-items": {"user": user(*(item(0xE0, b"x") for _ in range(200)))},
    "user name": {"user": user(item(0x58, b"\1\0\0\1a\0\0"))},
    "SAML assertion": {"user": user(item(0x58, b"\4\0\0\1a\0\0"))},
    "JSON web token": {"user": user(item(0x58, b"\5\0\0\1a\0\0"))},
    "asynchronous operations without limit": {"user": user(item(0x53, bytes(4)))},
    "calling title in small letters": {"calling": b"field"},
    "calling title of 16 characters": {"calling": b"FIELD-ROOM-00001"},
    "called title after spaces": {"called": b"  AINODE"},
    "called title of another": {"called": b"OTHER"},
    "called title in small letters": {"called": b"ainode"},
    "application context twice": {"after": item(0x10, b"1.2.840.10008.3.1.1.1")},
    "64 transfer syntaxes": {
        "contexts": proposed(
            1, _UID, (*(b"1.2.840.113619.5.%d" % n for n in range(63)), _IMPLICIT)
        )
    },
    "contexts of 100 unknown classes beside": {
        "contexts": b"".join(proposed(n, b"1.2.3.%d" % n) for n in range(3, 203, 2)) + proposed(1)
    },
    "items in another order": {
        "application": None, "contexts": b"", "user": b"",
        "after": user() + proposed(1) + item(0x10, b"1.2.840.10008.3.1.1.1"),
    },
}  # fmt: skip

#: Requests that are rejected: name -> arguments, the three numbers on the wire, the audited reason.
REJECTED: dict[str, tuple[dict[str, Any], tuple[int, int, int], str]] = {
    "protocol version 0": ({"version": 0}, (1, 2, 2), "protocol-version"),
    "protocol version 2": ({"version": 2}, (1, 2, 2), "protocol-version"),
    "private application context": ({"application": b"1.2.3"}, (1, 1, 2), "application-context"),
    "no application context": ({"application": None}, (1, 1, 2), "application-context"),
    "application context noise": ({"application": b"\xff\xfe"}, (1, 1, 2), "application-context"),
    "calling title of spaces": ({"calling": b""}, (1, 1, 3), "calling-ae-title"),
    "calling title of NULs": ({"calling": bytes(16)}, (1, 1, 3), "calling-ae-title"),
    "called title of spaces": ({"called": b""}, (1, 1, 7), "called-ae-title"),
}  # fmt: skip

#: What is no request: name -> bytes, reason of the A-ABORT (PS3.8 Table 9-26).
ABORTED: dict[str, tuple[bytes, int]] = {
    "empty": (pdu(1, b""), 6),
    "ten bytes": (pdu(1, b"\0\1\0\0abcdef"), 6),
    "4 GiB": (struct.pack(">BBI", 1, 0, 0xFFFFFFF0) + b"x" * 100, 6),
    "2 MiB": (struct.pack(">BBI", 1, 0, 2**21) + b"x" * 100, 6),
    "item cut off": (association_request(after=b"\x10\0\x27\x0fzz"), 6),
    "sub-item cut off": (association_request(user=item(0x50, b"\x51\0\0\x63\0\0\x40\0")), 6),
    "context cut off": (association_request(contexts=item(0x20, b"\1\0")), 6),
    "context item cut off": (
        association_request(contexts=item(0x20, b"\1\0\0\0\x30\0\0\x63" + _UID)), 6,
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

#: Context IDs that PS3.8 9.3.2.2 forbids.
EVEN = (0, 2, 254)


def echo(context: int) -> bytes:
    """A C-ECHO-RQ in this context."""
    elements = b"".join(
        struct.pack("<HHI", 0, number, len(value)) + value
        for number, value in (
            (2, _UID + b"\0"),
            (0x100, b"\x30\0"),
            (0x110, b"\1\0"),
            (0x800, b"\1\1"),
        )
    )
    command = struct.pack("<HHII", 0, 0, 4, len(elements)) + elements
    return pdu(4, struct.pack(">IBB", len(command) + 2, context, 3) + command)
