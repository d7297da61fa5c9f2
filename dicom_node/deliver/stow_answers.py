"""What a STOW-RS answer means for the delivery (PS3.18 10.5.3).

The failure or warning reason of the object decides; its codes are those of DIMSE statuses. If the
response does not name the object, the HTTP status decides, by a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from dicom_node.deliver.status import (
    ACCEPTED,
    REFUSED,
    UNAVAILABLE,
    Row,
    answered,
    event_for_status,
    not_accepted,
    unavailable,
)
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.domain.values import Answer, SendOutcome
from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    import requests

# HTTP status -> what we do next, PS3.18 Table 10.5.3-1 and RFC 9110 15. The first row that holds
# the status wins.
HTTP_STATUS: tuple[Row, ...] = (
    Row(300, 399, REFUSED, "the service is elsewhere; configure its own address"),
    Row(401, 401, UNAVAILABLE, "the token is not accepted"),  # tokens are renewed
    Row(403, 403, REFUSED, "not authorised"),
    Row(404, 404, REFUSED, "no such service"),
    Row(408, 408, UNAVAILABLE, "the request took too long"),
    Row(413, 413, REFUSED, "the object is too large"),
    Row(415, 415, REFUSED, "the service does not take DICOM files"),
    Row(424, 425, UNAVAILABLE, "not now"),
    Row(429, 429, UNAVAILABLE, "too many requests"),
    Row(400, 499, REFUSED, "the service refuses the request"),
    Row(501, 501, REFUSED, "the service does not store"),
    Row(507, 507, UNAVAILABLE, "out of storage"),
    Row(500, 599, UNAVAILABLE, "the service failed"),
)
_UNKNOWN = Row(0, 0xFFFF, REFUSED, "an answer HTTP does not define")

#: These concern the service, not the object: the remaining objects are not sent.
OF_THE_SERVICE = frozenset({401, 429, 502, 503, 504, 507})

#: Failure Reasons (0008,1197) of an object that is already stored; the second is Azure's.
_THERE_ALREADY = (0x0111, 0xB00E)
_PROCESSING_FAILURE = 0x0110


#: Failure Reasons for a transfer syntax that is not supported, or for the SOP class, which some
#: services say of both (PS3.18 Table I.2-2); and HTTP statuses that may mean it.
_SYNTAX_REASONS = (0x0122, 0xC122)
_SYNTAX_STATUSES = (400, 415)


class TransferSyntaxRefused(Exception):
    """The service may take the object in another transfer syntax; ``answer`` holds if not."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.reason)
        self.answer = answer


def answer_in(said: Dataset, sop_instance_uid: str) -> Answer:
    """Find the object in a Store Instances Response (PS3.18 Annex I).

    Raises
    ------
    TransferSyntaxRefused
        The failure may be due to the transfer syntax.
    """
    for item in said.get("FailedSOPSequence") or ():
        if item.get("ReferencedSOPInstanceUID") == sop_instance_uid:
            answer = _failure(item.get("FailureReason"))
            if answer.status in _SYNTAX_REASONS:
                raise TransferSyntaxRefused(answer)
            return answer
    for item in said.get("ReferencedSOPSequence") or ():
        if item.get("ReferencedSOPInstanceUID") == sop_instance_uid:
            status = int(item.get("WarningReason") or 0)
            return answered(status)
    return unavailable("the service's answer does not name the object")


def _failure(reason: int | None) -> Answer:
    """What a Failure Reason means; a success code in a list of failures counts as a failure."""
    if reason in _THERE_ALREADY:
        return answered(0x0111)
    status = _PROCESSING_FAILURE if reason is None else int(reason)
    if event_for_status(status) is ACCEPTED:
        why = f"listed as failed, with the success status 0x{status:04X}"
        return Answer(SendOutcome.ANSWERED, _PROCESSING_FAILURE, why)
    return answered(status)


def answer_to_error(error: requests.RequestException, sop_instance_uid: str) -> Answer:
    """What an HTTP error means: by its body if it names the object, else by its status.

    Raises
    ------
    PeerUnavailable
        The error is of the service, not of the object.
    TransferSyntaxRefused
        The error may be due to the transfer syntax.
    """
    code = status_of(error)
    if code in OF_THE_SERVICE:
        raise PeerUnavailable(http_sentence(code)) from None
    try:
        said = Dataset.from_json(error.response.json()) if error.response is not None else Dataset()
        answer = answer_in(said, sop_instance_uid)
    except MALFORMED:
        answer = unavailable("")
    if answer.outcome is SendOutcome.ANSWERED:
        return answer
    make = not_accepted if is_refusal(code) else unavailable
    answer = make(http_sentence(code))
    if code in _SYNTAX_STATUSES:
        raise TransferSyntaxRefused(answer) from None
    return answer


def status_of(error: requests.RequestException) -> int:
    """Look up the HTTP status behind an error; 0 if it has none."""
    return 0 if error.response is None else error.response.status_code


def http_sentence(code: int) -> str:
    """An HTTP status in our own words; the service's may name the patient."""
    return f"HTTP {code} {_http_row(code).meaning}"


def is_refusal(code: int) -> bool:
    """Whether another attempt would not help after this HTTP status."""
    return _http_row(code).event is REFUSED


def _http_row(code: int) -> Row:
    return next((row for row in HTTP_STATUS if row.first <= code <= row.last), _UNKNOWN)
