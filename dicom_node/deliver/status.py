"""What an answer to C-STORE means for the delivery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dicom_node.domain.states import DeliveryEvent
from dicom_node.domain.values import Answer, SendOutcome

ACCEPTED = DeliveryEvent.ACCEPTED
UNAVAILABLE = DeliveryEvent.UNAVAILABLE
REFUSED = DeliveryEvent.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoResult:
    """The result of a connection test; ``status`` is that of a C-ECHO, None if none came."""

    ok: bool
    status: int | None
    reason: str
    seconds: float


class Row(NamedTuple):
    """A range of statuses, both ends included, and what follows from them."""

    first: int
    last: int
    event: DeliveryEvent
    meaning: str


# C-STORE status -> what we do next, PS3.4 B.2.3 (its own) and PS3.7 Annex C (the general ones).
# The first row that holds the status wins.
STORE_STATUS: tuple[Row, ...] = (
    Row(0x0000, 0x0000, ACCEPTED, "stored"),
    Row(0x0001, 0x0001, ACCEPTED, "stored, with a warning"),
    Row(0x0106, 0x0106, REFUSED, "invalid attribute value"),
    Row(0x0107, 0x0107, ACCEPTED, "stored, some attributes were not recognised"),
    # Often a busy database behind the peer; faults of the object have codes of their own.
    Row(0x0110, 0x0110, UNAVAILABLE, "processing failure"),
    # The answer to an earlier attempt was lost. Our UIDs are deterministic: it is this object.
    Row(0x0111, 0x0111, ACCEPTED, "the peer has it already"),
    Row(0x0116, 0x0116, ACCEPTED, "stored, an attribute value was out of range"),
    Row(0x0117, 0x0117, REFUSED, "invalid SOP Instance UID"),
    Row(0x0118, 0x0118, REFUSED, "no such SOP Class"),
    Row(0x0119, 0x0119, REFUSED, "the instance is not of this SOP Class"),
    Row(0x0120, 0x0121, REFUSED, "an attribute or its value is missing"),
    Row(0x0122, 0x0122, REFUSED, "SOP Class not supported"),
    Row(0x0124, 0x0124, REFUSED, "not authorised"),  # until the peer's configuration changes
    Row(0x0210, 0x0210, UNAVAILABLE, "duplicate invocation"),  # a new association restarts the IDs
    Row(0x0211, 0x0212, REFUSED, "the peer does not understand the request"),
    Row(0x0213, 0x0213, UNAVAILABLE, "resource limitation"),
    Row(0xA700, 0xA7FF, UNAVAILABLE, "out of resources"),
    Row(0xA900, 0xA9FF, REFUSED, "the data set does not match its SOP Class"),
    Row(0xB000, 0xB000, ACCEPTED, "stored, elements were coerced"),
    Row(0xB006, 0xB006, ACCEPTED, "stored, elements were discarded"),
    Row(0xB007, 0xB007, ACCEPTED, "stored, the data set does not match its SOP Class"),
    Row(0xB000, 0xBFFF, ACCEPTED, "stored, with a warning"),  # PS3.7 C.3: Bxxx is a warning
    Row(0xC000, 0xCFFF, REFUSED, "the peer cannot understand the object"),
    Row(0xFE00, 0xFE00, UNAVAILABLE, "cancelled by the peer"),
)

_UNKNOWN = Row(0x0000, 0xFFFF, REFUSED, "a failure C-STORE does not define")


_OUTCOME = {
    SendOutcome.NO_ANSWER: DeliveryEvent.UNANSWERED,
    SendOutcome.UNAVAILABLE: UNAVAILABLE,
    SendOutcome.NOT_SENT: UNAVAILABLE,
    SendOutcome.NOT_ACCEPTED: REFUSED,
    SendOutcome.UNREADABLE: REFUSED,
}


def answered(status: int) -> Answer:
    """Make the answer of a destination that gave this status."""
    return Answer(SendOutcome.ANSWERED, status, sentence(status))


def unavailable(reason: str) -> Answer:
    """Make the answer for an object that did not go out and may go out later."""
    return Answer(SendOutcome.UNAVAILABLE, None, reason)


def unreadable(reason: str) -> Answer:
    """Make the answer for a file that cannot be sent; another attempt would not help."""
    return Answer(SendOutcome.UNREADABLE, None, reason)


def not_accepted(reason: str) -> Answer:
    """Make the answer for an object that the destination takes in no form we have."""
    return Answer(SendOutcome.NOT_ACCEPTED, None, reason)


def broken_off(error: Exception, *, sent: bool, behind: int) -> list[Answer]:
    """Make the answers after an association broke: one for its object, one for each behind it.

    Parameters
    ----------
    sent
        Whether the object went out, at least in part.
    behind
        How many objects were to follow.
    """
    outcome = SendOutcome.NO_ANSWER if sent else SendOutcome.UNAVAILABLE
    not_sent = Answer(SendOutcome.NOT_SENT, None, f"not sent: {error}")
    return [Answer(outcome, None, str(error)), *[not_sent] * behind]


def event_for(answer: Answer) -> DeliveryEvent:
    """What an answer does to the delivery."""
    if answer.outcome is SendOutcome.ANSWERED:
        return event_for_status(answer.status)
    return _OUTCOME[answer.outcome]


def event_for_status(status: int | None) -> DeliveryEvent:
    """What a C-STORE status does to the delivery."""
    return REFUSED if status is None else _row(status).event


def sentence(status: int) -> str:
    """A DIMSE status for a person: ``0xA700 out of resources``.

    The peer's Error Comment (0000,0902) is left out: free text may name the patient.
    """
    return f"0x{status:04X} {_row(status).meaning}"


def reached(answer: Answer) -> bool:
    """Whether the destination itself gave this answer."""
    return answer.outcome in (SendOutcome.ANSWERED, SendOutcome.NOT_ACCEPTED)


def _row(status: int) -> Row:
    return next((row for row in STORE_STATUS if row.first <= status <= row.last), _UNKNOWN)
