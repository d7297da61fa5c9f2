"""The storage commitment SCU (PS3.4 J.3); a C-FIND SCU (PS3.4 C.4.1) where it is not offered."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, evt

from dicom_node.commitment.confirm import Found, Verification
from dicom_node.commitment.datasets import request_data_set
from dicom_node.config import TlsConfig
from dicom_node.deliver.association import association, status_of
from dicom_node.deliver.duplicate import FIND, query_event
from dicom_node.domain.commitment import BY_QUERY, PUSH_MODEL, PUSH_MODEL_INSTANCE, REQUEST
from dicom_node.errors import PeerRefused, PeerUnavailable
from dicom_node.fail_points import fail_point

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pynetdicom.association import Association
    from pynetdicom.events import Event
    from pynetdicom.presentation import PresentationContext

    from dicom_node.commitment.intake import Intake
    from dicom_node.config import DicomDestination
    from dicom_node.domain.commitment import CommitmentQuery
    from dicom_node.domain.values import Result
    from dicom_node.ports import Audit, Commitments

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)

_LOOK_SECONDS = 0.1  # how often to check whether a report has come
_MATCHES = (0xFF00, 0xFF01)  # C-FIND pending, PS3.4 Table C.4-1


class CommitmentScu:
    """Asks configured destinations whether they keep what they accepted.

    Parameters
    ----------
    intake
        Records a report that comes on the association of the request; later reports come to the
        receiver.
    audit
        Records each C-FIND before it goes out.
    """

    def __init__(
        self,
        ae_title: str,
        destinations: Iterable[DicomDestination],
        commitments: Commitments,
        intake: Intake,
        audit: Audit,
        tls: TlsConfig = TlsConfig(),  # noqa: B008 - frozen
    ) -> None:
        self._ae_title = ae_title
        self._destinations = {each.name: each for each in destinations}
        self._commitments = commitments
        self._intake = intake
        self._audit = audit
        self._delivery = intake.delivery
        self._tls = tls

    def ask(self, query: CommitmentQuery) -> Verification:
        """Request commitment if it is offered, else query for each object.

        Raises
        ------
        PeerUnavailable
            The destination cannot be reached, or ends the association.
        """
        peer = self._destinations[query.destination]
        asks = query.asked < self._delivery.commitment_attempts
        contexts = _contexts(asks=asks)
        timeout = self._delivery.timeout_seconds
        try:
            with association(self._ae_title, peer, contexts, timeout, self._tls) as assoc:
                offered = {cx.abstract_syntax for cx in assoc.accepted_contexts}
                if PUSH_MODEL in offered:
                    return self._request(assoc, query)
                if asks and peer.commitment is True:
                    return _refused("the destination does not offer storage commitment")
                return self._look_up(assoc, query)
        except RuntimeError as error:  # pynetdicom's, between two messages
            raise PeerUnavailable("the peer ended the association") from error
        except PeerRefused:
            offered_none = "neither storage commitment nor a query is offered"
            no_report = "no report came, and no query is offered"
            reason = f"cannot be verified: {offered_none if asks else no_report}"
            return Verification(found=Found.NO_WAY, reason=reason)

    def _request(self, assoc: Association, query: CommitmentQuery) -> Verification:
        received, answered = threading.Event(), threading.Event()

        def on_report(event: Event) -> tuple[int, None]:
            received.set()
            return self._intake.take(
                lambda: event.event_information, lambda name: name == query.destination
            ), None

        def on_sent(_: Event) -> None:
            if received.is_set():  # nothing else is sent meanwhile
                answered.set()

        assoc.bind(evt.EVT_N_EVENT_REPORT, on_report)
        assoc.bind(evt.EVT_PDU_SENT, on_sent)
        self._commitments.request(query)
        fail_point("commitment.asking")
        asked = request_data_set(query.transaction_uid, query.references)
        status = status_of(assoc.send_n_action(asked, REQUEST, PUSH_MODEL, PUSH_MODEL_INSTANCE)[0])
        fail_point("commitment.asked")
        if status != 0x0000:
            return _refused(f"the request for storage commitment was {_answered(status)}")
        deadline = time.monotonic() + self._delivery.commitment_wait_seconds
        while (
            assoc.is_established
            and time.monotonic() < deadline
            and self._commitments.is_open(query)
        ):
            time.sleep(_LOOK_SECONDS)
        # A release would drop our answer to the report if it were still queued.
        while received.is_set() and assoc.is_established and not answered.wait(_LOOK_SECONDS):
            continue
        return Verification(
            found=Found.REQUESTED, reason="storage commitment requested, no report yet"
        )

    def _look_up(self, assoc: Association, query: CommitmentQuery) -> Verification:
        """Look for each object at IMAGE level, by its unique keys (PS3.4 C.6.2.1.4)."""
        kept = set()
        for delivery in query.deliveries:
            identifier = _identifier(query.study_instance_uid, delivery.result)
            self._audit.append(query_event(assoc, query.destination, identifier))
            found, status = _find(assoc, identifier)
            if status != 0x0000:
                return _refused(f"the query was {_answered(status)}")
            if found:
                kept.add(delivery.result.sop_instance_uid)
        return Verification(
            found=Found.LOOKED_UP,
            reason="not found by a query",
            kept=frozenset(kept),
            by=BY_QUERY,
        )


def _contexts(*, asks: bool) -> list[PresentationContext]:
    classes = (PUSH_MODEL, FIND) if asks else (FIND,)
    return [build_context(each, list(SYNTAXES)) for each in classes]


def _find(assoc: Association, ds: Dataset) -> tuple[bool, int | None]:
    """Whether the destination lists the object, and the status of its last response."""
    found, status = False, None
    for response, identifier in assoc.send_c_find(ds, FIND):
        status = status_of(response)
        if status in _MATCHES and identifier is not None:
            found |= identifier.get("SOPInstanceUID") == ds.SOPInstanceUID
    return found, status


def _identifier(study_instance_uid: str, result: Result) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "IMAGE"
    ds.StudyInstanceUID = result.sent_study_instance_uid or study_instance_uid
    ds.SeriesInstanceUID = result.series_instance_uid
    ds.SOPInstanceUID = result.sop_instance_uid
    return ds


def _refused(reason: str) -> Verification:
    return Verification(found=Found.REFUSED, reason=reason)


def _answered(status: int | None) -> str:
    return "not answered" if status is None else f"refused with 0x{status:04X}"
