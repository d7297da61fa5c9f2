"""Receive storage commitment messages: requests from peers, and reports on our own requests.

Nothing is answered Success before it is in the database. The deliverer looks the instances up and
reports on them later, because the peer waits for the answer given here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import structlog
from pydicom.dataset import Dataset
from pynetdicom import evt

from dicom_node.commitment.datasets import read_request
from dicom_node.commitment.report_address import is_destination, report_address
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.commitment import PUSH_MODEL_INSTANCE, REQUEST, CommitmentRequest, Kept
from dicom_node.errors import StoreWriteError
from dicom_node.log import where

if TYPE_CHECKING:
    from pynetdicom.events import Event

    from dicom_node.commitment.intake import Intake
    from dicom_node.config import Config
    from dicom_node.domain.audit import AuditEvent
    from dicom_node.ports import CommitmentRequests
    from dicom_node.receive.associations import Link, Links
    from dicom_node.receive.per_minute import PerMinute

# Answers to N-ACTION, PS3.7 10.1.4.1.10
TAKEN = 0x0000
FAILED = 0x0110  # processing failure
WRONG_INSTANCE = 0x0112  # no such SOP Instance
INVALID = 0x0115  # invalid argument value
WRONG_ACTION = 0x0123  # no such action
RESOURCES = 0x0213  # resource limitation

_Answer: TypeAlias = tuple[int | Dataset, None]

log = structlog.get_logger()


class CommitmentHandler:
    """Answers N-ACTION and N-EVENT-REPORT of the Storage Commitment Push Model.

    Parameters
    ----------
    intake
        Records the reports on our own requests.
    """

    def __init__(self, config: Config, requests: CommitmentRequests, intake: Intake) -> None:
        self._config = config
        self._requests = requests
        self._intake = intake

    def handlers(self, links: Links, floods: PerMinute) -> list[evt.EventHandlerType]:
        """The event handlers for pynetdicom's association server.

        ``floods`` records what a peer can repeat as often as it likes.
        """
        return [
            (evt.EVT_N_ACTION, lambda event: self.on_action(event, links.of(event.assoc), floods)),
            (
                evt.EVT_N_EVENT_REPORT,
                lambda event: self.on_report(event, links.of(event.assoc), floods),
            ),
        ]

    def reload(self, config: Config) -> None:
        """Answer from now on by the peers and destinations of ``config``."""
        self._config = config

    def on_action(self, event: Event, link: Link, floods: PerMinute) -> _Answer:
        """Answer an N-ACTION: record the request, or refuse it."""
        action = event.request
        if getattr(action, "ActionTypeID", None) != REQUEST:
            return _no(WRONG_ACTION, "no such action"), None
        if getattr(action, "RequestedSOPInstanceUID", None) != PUSH_MODEL_INSTANCE:
            return _no(WRONG_INSTANCE, "not the well-known instance"), None
        if report_address(self._config, link.calling) is None:
            _refused(floods, link, "no address configured to report to")
            return _no(FAILED, "no address configured to report to"), None
        try:
            transaction_uid, references = read_request(lambda: event.action_information)
            request = CommitmentRequest(
                transaction_uid=transaction_uid, ae_title=link.calling, references=references
            )
            kept = self._keep(request, link)
        except ValueError as error:
            return _no(INVALID, str(error)), None
        except (OSError, StoreWriteError) as error:
            log.error("commitment request not recorded", error=where(error))
            return _no(RESOURCES, "cannot store the request now; ask again later"), None
        if kept is Kept.TOO_MANY:
            _refused(floods, link, "too many commitment requests")
            return _no(RESOURCES, "too many requests; ask again later"), None
        if kept is Kept.REPEATED:
            detail = {**link.peer, "reason": "a known request is repeated"}
            floods.record(AuditKind.COMMITMENT_ASKED, "commitment requested again", detail)
        else:
            log.info("commitment requested", objects=len(references), **link.peer)
        return TAKEN, None

    def _keep(self, request: CommitmentRequest, link: Link) -> Kept:
        kept = Kept.TOO_MANY

        def write(*events: AuditEvent) -> bool:
            nonlocal kept
            kept = self._requests.keep(request, *events)
            return kept is not Kept.TOO_MANY

        link.record(write)
        return kept

    def on_report(self, event: Event, link: Link, floods: PerMinute) -> tuple[int, None]:
        """Answer an N-EVENT-REPORT on an association that the peer opened."""
        config, refused = self._config, []

        def may_report(destination: str) -> bool:
            allowed = is_destination(config, destination, link)
            refused.extend([] if allowed else [destination])
            return allowed

        status = self._intake.take(lambda: event.event_information, may_report)
        if refused:
            reason = f"destination {refused[0]} was asked, not the peer that reports"
            _refused(floods, link, reason)
        return status, None


def _refused(floods: PerMinute, link: Link, reason: str) -> None:
    detail = {**link.peer, "reason": reason}
    floods.record(AuditKind.COMMITMENT_REFUSED, "commitment message refused", detail)


def _no(status: int, comment: str) -> Dataset:
    answer = Dataset()
    answer.Status = status
    answer.ErrorComment = comment  # VR LO, at most 64 characters
    return answer
