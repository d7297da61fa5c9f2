"""The Minimal Lower Layer Protocol of HL7 version 2: one message out, its acknowledgement back.

The client of python-hl7 sends without a time limit or TLS, and takes the first piece of an answer
for the whole; its parser reads the answer here.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import hl7

from dicom_node.deliver.bounded_answer import HungUp
from dicom_node.deliver.deadline import Deadline
from dicom_node.deliver.scu import SLOWEST_LINE
from dicom_node.deliver.status import not_accepted, unavailable
from dicom_node.domain.values import Answer, SendOutcome
from dicom_node.errors import PeerUnavailable
from dicom_node.tls.client import tls_args
from dicom_node.tls.context import meaning

if TYPE_CHECKING:
    from dicom_node.config import Hl7Destination, TlsConfig

_START, _END = b"\x0b", b"\x1c\r"
_LARGEST_ANSWER = 1 << 16  # bytes; an acknowledgement takes about 200
_ACCEPTED = ("AA", "CA")  # HL7 table 0008: application accept, commit accept
_REFUSED = ("AE", "AR", "CE", "CR")  # error, reject
#: HL7 table 0357: faults of the receiver that may pass: record locked, internal error.
_PASSING = ("206", "207")
_STORED = 0x0000


def exchange(message: bytes, to: Hl7Destination, tls: TlsConfig, seconds: float) -> bytes:
    """Send a message and return the answer to it, both without their frames.

    Parameters
    ----------
    seconds
        For connecting, and for the answer.

    Raises
    ------
    PeerUnavailable
        Nothing was sent.
    HungUp
        The message was sent, at least in part, and no whole answer came.
    """
    patience = 2 * seconds + len(message) / SLOWEST_LINE
    with closing(Deadline()) as deadline, deadline.within(patience), ExitStack() as stack:
        connection = stack.enter_context(connected(to, tls, seconds, deadline))
        try:
            connection.sendall(_START + message + _END)
            return _answer(connection)
        except OSError as error:
            raise HungUp(_why(to, error, deadline)) from None


def connected(
    to: Hl7Destination, tls: TlsConfig, seconds: float, deadline: Deadline
) -> socket.socket:
    """Connect, over TLS if configured; raises PeerUnavailable."""
    secure = tls_args(to, tls)
    try:
        plain = socket.create_connection((to.host, to.port), timeout=seconds)
        deadline.watch(plain)
        if secure is None:
            return plain
        context, name = secure
        try:
            return context.wrap_socket(plain, server_hostname=name)
        except OSError:
            plain.close()
            raise
    except ssl.SSLError as error:
        raise PeerUnavailable(f"no TLS with {to.host}:{to.port}: {meaning(error)}") from None
    except OSError as error:
        why = "no answer" if isinstance(error, TimeoutError) else error.strerror or "no connection"
        raise PeerUnavailable(f"cannot reach {to.host}:{to.port}: {why}") from None


def _why(to: Hl7Destination, error: OSError, deadline: Deadline) -> str:
    """Why no answer came, in words; a peer may refuse our certificate only after the handshake."""
    if deadline.expired:
        return f"{to.host} takes too long"
    if isinstance(error, TimeoutError):
        return f"no answer from {to.host} in time"
    if isinstance(error, ssl.SSLError):
        return meaning(error)
    return f"{to.host} hung up"


def _answer(connection: socket.socket) -> bytes:
    """Read until the end of a frame; anything before its start is ignored."""
    read = b""
    while _END not in read:
        part = connection.recv(4096)
        if not part:
            raise ConnectionResetError("the connection was closed")
        read += part
        if len(read) > _LARGEST_ANSWER:
            raise ConnectionResetError("the answer is too large")
    return read.partition(_END)[0].rpartition(_START)[2]


def meaning_of(answer: bytes, control_id: str) -> Answer:
    """What an acknowledgement says of the message; its free text may name the patient.

    Parameters
    ----------
    control_id
        Of our message: an answer to another one is none.
    """
    try:
        message = hl7.parse(answer.decode("utf-8", "replace").replace("\n", "\r"))
        code, about = str(message.segment("MSA")(1)), str(message.segment("MSA")(2))
    except (hl7.HL7Exception, AssertionError, KeyError, IndexError, ValueError):
        return Answer(SendOutcome.NO_ANSWER, None, "the answer is no HL7 acknowledgement")
    if about != control_id:
        return Answer(SendOutcome.NO_ANSWER, None, "the answer is to another message")
    if code in _ACCEPTED:
        return Answer(SendOutcome.ANSWERED, _STORED, f"{code} accepted")
    if code not in _REFUSED:
        return Answer(SendOutcome.NO_ANSWER, None, "the answer has an unknown code")
    fault = _fault(message)
    if fault in _PASSING:
        return unavailable(f"{code} {fault}, not now")
    return not_accepted(f"{code} {fault or 'without an error code'}, not accepted")


def _fault(message: hl7.Message) -> str:
    """The error code (ERR-3, or MSA-6 of older versions), digits only; empty if there is none."""
    for segment, field in (("ERR", 3), ("MSA", 6)):
        try:
            found = str(message.segment(segment)(field)).partition("^")[0]
        except (KeyError, IndexError):
            continue
        if found.isascii() and found.isdigit() and len(found) <= 4:
            return found
    return ""
