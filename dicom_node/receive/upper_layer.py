"""Make pynetdicom's upper layer lenient in what it reads and clear in what it refuses.

pynetdicom aborts requests that DCMTK and Orthanc accept, waits for the end of a PDU of any length,
and aborts without a reason. It validates each UID of a request several times, which takes long for
the 128 contexts of an archive: those of SOP classes that the node does not serve never reach it.
`UpperLayer` stands between its state machine and the socket.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, P_DATA_TF

from dicom_node.dicom.malformed import MALFORMED
from dicom_node.receive import association_request
from dicom_node.receive.association_request import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pynetdicom.association import Association

    from dicom_node.receive.associations import Link

MAX_REQUEST = 2**20  # bytes of an A-ASSOCIATE-RQ; 128 contexts of 30 transfer syntaxes have 250 kB
_DRAINED = 64  # reads of 64 KiB after an A-ABORT
MAX_CONTROL = 64 * 2**10  # bytes of any other PDU than P-DATA-TF

# Sources and reasons of an A-ABORT, PS3.8 Table 9-26
_PROVIDER, _UNRECOGNISED_PDU, _UNEXPECTED_PDU, _INVALID_PARAMETER = 2, 1, 2, 6

_REQUEST, _ACCEPT, _DATA, _ABORT = 1, 2, 4, 7  # PDU types, PS3.8 9.3.1
_NOT_SUPPORTED = 3  # the abstract syntax, PS3.8 Table 9-18
_ANY_SYNTAX = b"1.2.840.10008.1.2"  # not significant in a context that is rejected
_HEADER = 6  # bytes before the body of a PDU
_NO_PDU = bytes([0xFF, 0, 0, 0, 0, 0])  # pynetdicom answers an unknown type with an A-ABORT
_OTHER_PROTOCOLS = {b"GET ": "HTTP", b"POST": "HTTP", b"HEAD": "HTTP", b"SSH-": "SSH"}


class UpperLayer:
    """Corrects what passes between one association's socket and pynetdicom.

    Parameters
    ----------
    link
        Gets the association request.
    receive
        Reads this many bytes from the connection.
    classes
        UIDs of the SOP classes that are served.
    on_abort
        Called, with the reason, when the peer sent something that is not understood.
    """

    def __init__(
        self,
        assoc: Association,
        link: Link,
        receive: Callable[[int], bytearray],
        classes: Collection[str],
        on_abort: Callable[[Link, str], None],
    ) -> None:
        dul = self._dul = cast("Any", assoc.dul)
        self._link = link
        self._classes = classes
        self._on_abort = on_abort
        self._reason = _UNEXPECTED_PDU
        self._why = "an unexpected PDU"
        self._at_header = True
        self._over = False  # the peer is being aborted
        self._ids: dict[int, int] = {}  # pynetdicom's context ID -> the peer's, if they differ
        self._not_served: tuple[int, ...] = ()  # the peer's IDs of contexts that are rejected here
        self._recv, dul.socket.recv = receive, self._receive
        self._decode, dul._decode_pdu = dul._decode_pdu, self._decode_pdu
        self._send, dul._send = dul._send, self._send_pdu

    def _receive(self, count: int) -> bytes | bytearray:
        """Read from the socket; a header that no PDU has is replaced by one that is aborted."""
        if self._over:
            self._drain()
            return b""  # pynetdicom takes the connection for closed, and closes it
        data = self._recv(count)
        self._at_header = not self._at_header  # pynetdicom reads a header, then the PDU's body
        if self._at_header or len(data) != _HEADER:
            return data
        if why := _wrong_header(bytes(data)):
            known = 1 <= data[0] <= 7
            self._give_up(_INVALID_PARAMETER if known else _UNRECOGNISED_PDU, why)
            return _NO_PDU
        return data

    def _give_up(self, reason: int, why: str) -> None:
        """Read no further PDU; the state machine sends an A-ABORT with this reason."""
        self._over, self._reason, self._why = True, reason, why

    def _drain(self) -> None:
        """Read what has arrived: unread bytes would reset the connection before the peer reads."""
        connection = self._dul.socket.socket
        before = connection.gettimeout()
        with suppress(OSError):
            connection.settimeout(0)
            for _ in range(_DRAINED):
                if not connection.recv(2**16):
                    break
        with suppress(OSError):
            connection.settimeout(before)

    def _decode_pdu(self, data: bytes) -> Any:
        """Let pynetdicom decode a PDU, after an association request was rewritten."""
        if data[0] == _REQUEST:
            try:
                request = association_request.parse(bytes(data))
            except NotUnderstood as error:
                self._give_up(_INVALID_PARAMETER, str(error))
                raise
            if self._link.request is None:
                self._link.request = request
                ids = request.context_ids()
                self._ids = ids if any(ours != theirs for ours, theirs in ids.items()) else {}
                self._not_served = request.not_served(self._classes)
            data = association_request.encode(request, without=self._not_served)
        elif data[0] == _DATA:
            data = _with_context_ids(data, {theirs: ours for ours, theirs in self._ids.items()})
        elif data[0] != _ABORT and not self._link.admitted:
            self._why = "a PDU before the association request"
        try:
            return self._decode(data)
        except (*MALFORMED, AssertionError):  # pynetdicom asserts the length of items
            self._give_up(_INVALID_PARAMETER, "a PDU that cannot be decoded")
            raise

    def _send_pdu(self, pdu: Any) -> None:
        """Send a PDU, with the peer's own titles and IDs, and with a reason if it is an abort."""
        if isinstance(pdu, A_ABORT_RQ) and self._is_ours(pdu):
            pdu.source, pdu.reason_diagnostic = _PROVIDER, self._reason
            self._over = True
            self._on_abort(self._link, self._why)
        elif isinstance(pdu, A_ASSOCIATE_AC) and self._link.request is not None:
            data = pdu.encode()
            data = data[:10] + self._link.request.titles + data[42:]
            data = _with_accepted_ids(data, self._ids)
            self._dul.socket.send(_with_rejected(data, self._not_served))
            return
        elif isinstance(pdu, P_DATA_TF) and self._ids:
            self._dul.socket.send(_with_context_ids(pdu.encode(), self._ids))
            return
        self._send(pdu)

    def _is_ours(self, pdu: A_ABORT_RQ) -> bool:
        """Whether the state machine aborts because of what the peer sent (AA-1, AA-8)."""
        before_request = self._dul.state_machine.current_state == "Sta2"
        return before_request or pdu.source == _PROVIDER


def _wrong_header(head: bytes) -> str:
    """Why the first six bytes are not the header of a PDU; empty if they are."""
    kind, length = struct.unpack(">BxI", head)
    if head[:2] == b"\x16\x03":
        return "the peer speaks TLS to the plain DICOM port"
    if head[:4] in _OTHER_PROTOCOLS:
        return f"the peer speaks {_OTHER_PROTOCOLS[head[:4]]}"
    if not 1 <= kind <= 7:
        return "not a DICOM PDU"
    limit = {_REQUEST: MAX_REQUEST, _DATA: 2**32}.get(kind, MAX_CONTROL)
    return "the length of a PDU is implausible" if length > limit else ""


def _with_context_ids(pdu: bytes, ids: dict[int, int]) -> bytes:
    """A P-DATA-TF with other presentation context IDs, PS3.8 Table 9-22."""
    if not ids:
        return pdu
    data, at = bytearray(pdu), 6
    while at + 5 <= len(data):
        data[at + 4] = ids.get(data[at + 4], data[at + 4])
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    return bytes(data)


def _with_accepted_ids(pdu: bytes, ids: dict[int, int]) -> bytes:
    """An A-ASSOCIATE-AC with other presentation context IDs, PS3.8 Table 9-18."""
    data, at = bytearray(pdu), 74
    while ids and at + 5 <= len(data):
        if data[at] == 0x21:
            data[at + 4] = ids[data[at + 4]]
        at += 4 + int.from_bytes(data[at + 2 : at + 4], "big")
    return bytes(data)


def _with_rejected(pdu: bytes, ids: tuple[int, ...]) -> bytes:
    """Add these presentation contexts to an A-ASSOCIATE-AC, as rejected (PS3.8 Table 9-18)."""
    syntax = struct.pack(">BxH", 0x40, len(_ANY_SYNTAX)) + _ANY_SYNTAX
    items = b"".join(
        struct.pack(">BxHBxBx", 0x21, 4 + len(syntax), each, _NOT_SUPPORTED) + syntax
        for each in ids
    )
    at = 74
    while at + 4 <= len(pdu) and pdu[at] != 0x50:
        at += 4 + int.from_bytes(pdu[at + 2 : at + 4], "big")
    body = pdu[6:at] + items + pdu[at:]
    return struct.pack(">BxI", _ACCEPT, len(body)) + body
