"""The periodic work of the deliverer process, assembled from its parts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dicom_node.commitment.confirm import Confirmer, Verifier
from dicom_node.commitment.folder import FolderVerifier
from dicom_node.commitment.intake import Intake
from dicom_node.commitment.report import Reporter
from dicom_node.commitment.scu import CommitmentScu
from dicom_node.config import DicomDestination, FolderDestination
from dicom_node.deliver.breaker import Breaker
from dicom_node.deliver.duplicate import Duplicates
from dicom_node.deliver.retry import RetryPolicy
from dicom_node.deliver.senders import Senders
from dicom_node.deliver.shipment import Deliverer
from dicom_node.service.lanes import Lanes
from dicom_node.store.bucket import blobs_of

if TYPE_CHECKING:
    import threading

    from dicom_node.config import Config
    from dicom_node.ports import Audit, Breakers, Clock, CommitmentRequests, Commitments, Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """The tables of the store that hold work."""

    outbox: Outbox
    commitments: Commitments
    commitment_requests: CommitmentRequests
    breakers: Breakers
    audit: Audit


class Rounds:
    """The periodic work, each kind in a thread of each destination: a slow one delays no other.

    Parameters
    ----------
    owner
        Name under which work is leased.
    stopping
        Once set, work under way is finished and nothing else is begun.
    """

    def __init__(
        self, owner: str, config: Config, queues: Queues, clock: Clock, stopping: threading.Event
    ) -> None:
        delivery = config.delivery
        policy, jitter = RetryPolicy.of(delivery), random.random
        sender = Senders(
            config.node.ae_title,
            config.destinations,
            delivery.timeout_seconds,
            config.tls,
            Duplicates(
                ae_title=config.node.ae_title,
                timeout_seconds=delivery.timeout_seconds,
                otherwise=delivery.duplicate,
                audit=queues.audit,
                tls=config.tls,
            ),
        )
        breaker = Breaker(
            table=queues.breakers,
            configured=frozenset(each.name for each in config.destinations),
            policy=policy,
            most=delivery.breaker_failures,
            clock=clock,
            jitter=jitter,
        )
        verifiers = _verifiers(config, queues, clock)
        deliverer = Deliverer(
            owner=owner,
            outbox=queues.outbox,
            sender=sender,
            policy=policy,
            blobs=blobs_of(config),
            lease_seconds=delivery.lease_seconds,
            clock=clock,
            jitter=jitter,
            confirmed=frozenset(verifiers),
            whole=frozenset(each.name for each in config.destinations if each.kind == "hl7"),
            note=breaker.note,
            stopping=stopping,
        )
        confirmer = Confirmer(
            owner=owner,
            commitments=queues.commitments,
            verifiers=verifiers,
            policy=policy,
            delivery=delivery,
            clock=clock,
            jitter=jitter,
            note=breaker.note,
            stopping=stopping,
        )
        reporter = Reporter(
            owner=owner,
            requests=queues.commitment_requests,
            config=config,
            policy=policy,
            clock=clock,
            jitter=jitter,
            stopping=stopping,
        )
        self.deliver = Lanes("deliver", queues.outbox.due, deliverer.deliver_due)
        self.confirm = Lanes("confirm", queues.commitments.due, confirmer.confirm_due)
        self.report = Lanes("report", queues.commitment_requests.due, reporter.report_due)
        self.probe = Lanes("probe", breaker.due, partial(breaker.probe, sender))

    def wait(self) -> None:
        """Wait until the work under way is done."""
        for lanes in (self.deliver, self.confirm, self.report, self.probe):
            lanes.wait()


def _verifiers(config: Config, queues: Queues, clock: Clock) -> dict[str, Verifier]:
    """The verifier of each destination; a service's or a message receiver's answer is final."""
    peers = [
        each
        for each in config.destinations
        if isinstance(each, DicomDestination) and each.commitment is not False
    ]
    folders = [each for each in config.destinations if isinstance(each, FolderDestination)]
    intake = Intake(queues.commitments, config.delivery, clock)
    commitment_scu = CommitmentScu(
        config.node.ae_title, peers, queues.commitments, intake, queues.audit, config.tls
    )
    folder_verifier = FolderVerifier(folders, blobs_of(config))
    return {each.name: commitment_scu for each in peers} | {
        each.name: folder_verifier for each in folders
    }
