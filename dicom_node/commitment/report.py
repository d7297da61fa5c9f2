"""The reports of the storage commitment SCP (PS3.4 J.3.3), sent until the peer takes them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from pynetdicom import build_context

from dicom_node.commitment.datasets import event_type, report_data_set
from dicom_node.commitment.report_address import report_address
from dicom_node.commitment.scu import SYNTAXES
from dicom_node.deliver.association import association
from dicom_node.deliver.retry import RetryAt
from dicom_node.dicom.blobs import BlobsAway
from dicom_node.domain.commitment import (
    CLASS_CONFLICT,
    NO_SUCH_OBJECT,
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    CommitmentReport,
    Failure,
)
from dicom_node.errors import LeaseLost, PeerRefused, PeerUnavailable
from dicom_node.store.bucket import blobs_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pynetdicom.presentation import PresentationContext

    from dicom_node.config import Config, DicomDestination
    from dicom_node.deliver.retry import RetryPolicy
    from dicom_node.dicom.blobs import Blobs
    from dicom_node.domain.commitment import CommitmentRequest, Reference
    from dicom_node.ports import Clock, CommitmentRequests

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Reports to peers which of the requested instances the node keeps."""

    owner: str
    requests: CommitmentRequests
    config: Config
    policy: RetryPolicy
    clock: Clock
    jitter: Callable[[], float]
    stopping: threading.Event = field(default_factory=threading.Event)

    def report_due(self, ae_title: str | None = None) -> int:
        """Report to one peer or all until nothing is due; return how many reports were tried."""
        tried = 0
        while not self.stopping.is_set() and (request := self._claim(ae_title)) is not None:
            try:
                self._report(request)
            except LeaseLost:
                log.warning("lease lost after the commitment was reported", to=request.ae_title)
            tried += 1
        return tried

    def _claim(self, ae_title: str | None) -> CommitmentRequest | None:
        lease_until = self.clock() + timedelta(seconds=self.config.delivery.lease_seconds)
        return self.requests.claim(self.owner, lease_until, ae_title)

    def _report(self, request: CommitmentRequest) -> None:
        peer = report_address(self.config, request.ae_title)
        if peer is None:
            self.requests.put_off(request, "no address is configured for this peer", None)
            return
        try:
            report = self._verdict(request)
            self._send(peer, report)
        except (PeerUnavailable, PeerRefused, BlobsAway, RuntimeError) as error:
            # The last is pynetdicom's.
            decision = self.policy.next(request.attempt, self.clock(), self.jitter())
            due_at = decision.due_at if isinstance(decision, RetryAt) else None
            self.requests.put_off(request, str(error), due_at)
        else:
            self.requests.reported(request, len(report.kept), len(report.missing))

    def _verdict(self, request: CommitmentRequest) -> CommitmentReport:
        known, blobs = self.requests.known(request.references), blobs_of(self.config)
        codes = {each: _code(each, known, blobs) for each in request.references}
        return CommitmentReport(
            transaction_uid=request.transaction_uid,
            kept=tuple(each for each, code in codes.items() if code is None),
            missing=tuple(
                Failure(reference=each, code=code) for each, code in codes.items() if code
            ),
        )

    def _send(self, peer: DicomDestination, report: CommitmentReport) -> None:
        node, timeout = self.config.node, self.config.delivery.timeout_seconds
        with association(node.ae_title, peer, [_context()], timeout, self.config.tls) as assoc:
            response, _ = assoc.send_n_event_report(
                report_data_set(report), event_type(report), PUSH_MODEL, PUSH_MODEL_INSTANCE
            )
        if "Status" not in response:
            raise PeerUnavailable("no answer to the report")
        if response.Status != 0x0000:
            raise PeerUnavailable(f"the report was answered 0x{response.Status:04X}")


def _context() -> PresentationContext:
    """The context for an association that the SCP requests; it must propose its role."""
    context = build_context(PUSH_MODEL, list(SYNTAXES))
    context.scu_role, context.scp_role = False, True
    return context


def _code(reference: Reference, known: dict[str, tuple[str, Path]], blobs: Blobs) -> int | None:
    """Why the node does not keep an instance, or None if it does."""
    if reference.sop_instance_uid not in known:
        return NO_SUCH_OBJECT
    sop_class_uid, path = known[reference.sop_instance_uid]
    if sop_class_uid != reference.sop_class_uid:
        return CLASS_CONFLICT
    return None if blobs.is_there(path) else NO_SUCH_OBJECT
