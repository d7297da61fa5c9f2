"""Read an A-ASSOCIATE-RQ leniently, and encode it so that pynetdicom understands it.

What PS3.8 says to ignore is ignored: unknown items and sub-items (Annex D.2), reserved bytes,
protocol version bits above bit 0. What only informs is not needed: version names, implementation
class UIDs, the window of asynchronous operations, extended negotiation (PS3.7 Annex D.3.3). A
request whose structure cannot be followed raises `NotUnderstood`.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

from dicom_node.dicom.uids import is_uid

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"  # PS3.7 Annex A.2.1
MAX_CONTEXTS = 128  # presentation context IDs are odd, 1 to 255

_HEAD = struct.Struct(">BxI")  # PDU type and length
_FIXED = 74  # bytes before the variable items, PS3.8 Table 9-11
_DEFAULT_PDU = 16384  # bytes; for a peer that does not say how long a PDU may be
_SHORTEST_PDU = 128  # bytes; below, no response would fit
_LONGEST_PDU = 2**30  # bytes

#: Replaces a UID that is missing or illegal, so that only its presentation context is rejected.
_UNKNOWN_UID = "2.25.0"


class NotUnderstood(ValueError):
    """The bytes are not an A-ASSOCIATE-RQ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedContext:
    """A presentation context item, PS3.8 Table 9-13; UIDs are empty if they are missing."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """User identity negotiation, PS3.7 Table D.3-14. It is never printed."""

    kind: int
    primary: bytes
    secondary: bytes

    def __repr__(self) -> str:
        return f"Identity(kind={self.kind})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRequest:
    """What a peer requests.

    ``titles`` are the bytes of called and calling AE title as they arrived; the titles themselves
    are printable ASCII, with ``?`` for every other character, and may be empty.
    """

    version: int
    titles: bytes
    called: str
    calling: str
    application_context: str
    contexts: tuple[ProposedContext, ...]
    longest_pdu: int
    roles: tuple[tuple[str, bool, bool], ...]  # SOP class, SCU, SCP; PS3.7 D.3.3.4
    identity: Identity | None

    def context_ids(self) -> dict[int, int]:
        """The ID under which pynetdicom knows a context -> the peer's ID for it.

        They are the same, except for IDs that are even: PS3.8 forbids them, DCMTK takes them.
        """
        proposed = list(dict.fromkeys(each.context_id for each in self.contexts))[:MAX_CONTEXTS]
        odd = {each for each in proposed if each % 2}
        free = iter(each for each in range(1, 256, 2) if each not in odd)
        return {each if each % 2 else next(free): each for each in proposed}

    def not_served(self, classes: Collection[str]) -> tuple[int, ...]:
        """The peer's IDs of contexts for other SOP classes than these."""
        answered = set(self.context_ids().values())
        return tuple(
            each.context_id
            for each in self.contexts
            if each.context_id in answered and each.abstract_syntax not in classes
        )


def parse(pdu: bytes) -> AssociationRequest:
    """Read an A-ASSOCIATE-RQ PDU (PS3.8 9.3.2); raises NotUnderstood."""
    if len(pdu) < _FIXED:
        raise NotUnderstood("the association request is too short")
    contexts: list[ProposedContext] = []
    application_context, user = "", b""
    for kind, value in _items(pdu[_FIXED:]):
        if kind == 0x10 and not application_context:
            application_context = _text(value)
        elif kind == 0x20:
            contexts.append(_context(value))
        elif kind == 0x50:
            user += value
    known = {each: value for each, value in _items(user)}
    return AssociationRequest(
        version=int.from_bytes(pdu[6:8], "big"),
        titles=pdu[10:42],
        called=_title(pdu[10:26]),
        calling=_title(pdu[26:42]),
        application_context=application_context,
        contexts=tuple({each.context_id: each for each in reversed(contexts)}.values())[::-1],
        longest_pdu=_longest_pdu(known.get(0x51, b"")),
        roles=tuple(_roles(value for each, value in _items(user) if each == 0x54)),
        identity=_identity(known.get(0x58, b"")),
    )


def encode(request: AssociationRequest, without: Collection[int] = ()) -> bytes:
    """Encode a request strictly, with titles and UIDs that pynetdicom accepts.

    ``without`` are IDs of presentation contexts to leave out.
    """
    ids = {theirs: ours for ours, theirs in request.context_ids().items()}
    items = _item(0x10, APPLICATION_CONTEXT.encode())
    for context in request.contexts:
        if context.context_id in ids and context.context_id not in without:
            syntaxes = context.transfer_syntaxes or (_UNKNOWN_UID,)
            value = bytes([ids[context.context_id], 0, 0, 0])
            value += _item(0x30, (context.abstract_syntax or _UNKNOWN_UID).encode())
            value += b"".join(_item(0x40, syntax.encode()) for syntax in syntaxes)
            items += _item(0x20, value)
    user = _item(0x51, struct.pack(">I", request.longest_pdu))
    user += _item(0x52, _UNKNOWN_UID.encode())
    for sop_class, scu, scp in request.roles:
        role = struct.pack(">H", len(sop_class)) + sop_class.encode() + bytes([scu, scp])
        user += _item(0x54, role)
    items += _item(0x50, user)
    titles = [(each or "?").encode().ljust(16) for each in (request.called, request.calling)]
    body = struct.pack(">HH", 1, 0) + b"".join(titles) + bytes(32) + items
    return _HEAD.pack(1, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Items or sub-items, PS3.8 9.3.2; a few padding bytes at the end are ignored."""
    at = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        value = data[at + 4 : at + 4 + length]
        if len(value) < length:
            raise NotUnderstood("an item of the association request is cut off")
        yield data[at], value
        at += 4 + length
    if data[at:].strip(b"\0"):
        raise NotUnderstood("bytes after the last item of the association request")


def _context(value: bytes) -> ProposedContext:
    if len(value) < 4:
        raise NotUnderstood("a presentation context is cut off")
    items = list(_items(value[4:]))
    abstract = next((_uid(each) for kind, each in items if kind == 0x30), "")
    syntaxes = (_uid(each) for kind, each in items if kind == 0x40)
    return ProposedContext(
        context_id=value[0],
        abstract_syntax=abstract,
        transfer_syntaxes=tuple(dict.fromkeys(filter(None, syntaxes))),
    )


def _longest_pdu(value: bytes) -> int:
    if len(value) != 4:
        return _DEFAULT_PDU
    asked = int.from_bytes(value, "big")
    return asked and min(max(asked, _SHORTEST_PDU), _LONGEST_PDU)  # 0: no limit


def _roles(values: Iterator[bytes]) -> Iterator[tuple[str, bool, bool]]:
    """Role selections that make sense; the others are ignored, so that the defaults apply."""
    for value in values:
        length = int.from_bytes(value[:2], "big")
        sop_class, roles = _uid(value[2 : 2 + length]), value[2 + length :]
        if sop_class and len(roles) == 2 and any(roles) and max(roles) <= 1:
            yield sop_class, bool(roles[0]), bool(roles[1])


def _identity(value: bytes) -> Identity | None:
    """The user identity; None if there is none, or if it is cut off."""
    length = int.from_bytes(value[2:4], "big")
    primary, rest = value[4 : 4 + length], value[4 + length :]
    secondary = rest[2 : 2 + int.from_bytes(rest[:2], "big")]
    if len(value) < 4 or len(primary) < length or len(secondary) < int.from_bytes(rest[:2], "big"):
        return None
    return Identity(kind=value[0], primary=primary, secondary=secondary)


@lru_cache(maxsize=1024)
def _uid(value: bytes) -> str:
    """A UID without padding; empty if it is not one."""
    text = _text(value)
    return text if is_uid(text) else ""


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip("\0 ")


def _title(value: bytes) -> str:
    """An AE title fit for a log and for pynetdicom; it ends at the first NUL (PS3.8 9.3.2)."""
    text = value.split(b"\0")[0].decode("latin-1").strip()
    return "".join(c if c.isascii() and c.isprintable() and c != "\\" else "?" for c in text)
