"""DICOM messages made by hand, so that they can be malformed (PS3.8 9.3, PS3.7 E.1)."""

from __future__ import annotations

import struct

VERIFICATION, CR = b"1.2.840.10008.1.1", b"1.2.840.10008.5.1.4.1.1.1"
_APPLICATION, _IMPLICIT = b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.1.2"
_CR_CONTEXT = 3


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU of any type."""
    return struct.pack(">BBI", kind, 0, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    """An item of an association request."""
    return struct.pack(">BBH", kind, 0, len(body)) + body


def context(number: int, sop_class: bytes) -> bytes:
    """A presentation context in implicit little endian."""
    inside = item(0x30, sop_class) + item(0x40, _IMPLICIT)
    return item(0x20, bytes([number % 256, 0, 0, 0]) + inside)


def request(
    *,
    version: int = 1,
    called: bytes = b"DICOM_NODE      ",
    calling: bytes = b"STORM           ",
    contexts: bytes = context(1, VERIFICATION) + context(_CR_CONTEXT, CR),
    largest: int = 16384,
    user: bytes | None = None,
) -> bytes:
    """A-ASSOCIATE-RQ; ``user`` None: usual User Information with ``largest`` as maximum PDU."""
    if user is None:
        user = item(0x50, item(0x51, struct.pack(">I", largest)) + item(0x52, b"1.2.3.4"))
    head = struct.pack(">HH", version, 0) + called + calling + bytes(32)
    return pdu(1, head + item(0x10, _APPLICATION) + contexts + user)


def value(number: int, flags: int, body: bytes) -> bytes:
    """A presentation data value; flags: 1 = command, 2 = last."""
    return struct.pack(">IBB", len(body) + 2, number, flags) + body


def message(number: int, command: bytes, data: bytes = b"") -> bytes:
    """A command, followed by a data set if there is one."""
    after = pdu(4, value(number, 2, data)) if data else b""
    return pdu(4, value(number, 3, command)) + after


def element(group: int, number: int, content: bytes) -> bytes:
    """An element in implicit little endian, padded to even length."""
    content += b"\0" * (len(content) % 2)
    return struct.pack("<HHI", group, number, len(content)) + content


def store(sop_instance: bytes) -> bytes:
    """The command set of a C-STORE-RQ of a CR."""
    body = b"".join(
        (
            element(0, 0x0002, CR),
            element(0, 0x0100, struct.pack("<H", 1)),
            element(0, 0x0110, struct.pack("<H", 1)),
            element(0, 0x0700, struct.pack("<H", 0)),
            element(0, 0x0800, struct.pack("<H", 1)),
            element(0, 0x1000, sop_instance),
        )
    )
    return element(0, 0, struct.pack("<I", len(body))) + body


def data_set(sop_instance: bytes, rest: bytes = b"") -> bytes:
    """A data set with the least that a receiver requires."""
    return b"".join(
        (
            element(0x08, 0x16, CR),
            element(0x08, 0x18, sop_instance),
            element(0x08, 0x60, b"CR"),
            element(0x20, 0x0D, b"1.2.3"),
            element(0x20, 0x0E, b"1.2.3.1"),
            rest,
        )
    )
