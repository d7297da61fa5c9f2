"""Everything the delivering process does again and again, put together from its parts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_node.commitment.confirm import Confirmer, Verifier
from dicom_node.commitment.folder import FolderVerifier
from dicom_node.commitment.intake import Intake
from dicom_node.commitment.report import Reporter
from dicom_node.commitment.scu import CommitmentScu
from dicom_node.config import DicomDestination, FolderDestination
from dicom_node.deliver.breaker import Breaker
from dicom_node.deliver.retry import RetryPolicy
from dicom_node.deliver.senders import Senders
from dicom_node.deliver.shipment import Deliverer

if TYPE_CHECKING:
    import threading

    from dicom_node.config import Config
    from dicom_node.ports import Audit, Breakers, Clock, CommitmentRequests, Commitments, Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """What is to be done, from the store."""

    outbox: Outbox
    commitments: Commitments
    pledges: CommitmentRequests
    breakers: Breakers
    audit: Audit


class Rounds:
    """One round of each kind of work; they may run at the same time.

    Parameters
    ----------
    owner
        Name under which work is leased.
    stopping
        Once set, what is under way is finished and nothing else begun.
    """

    def __init__(
        self, owner: str, config: Config, queues: Queues, clock: Clock, stopping: threading.Event
    ) -> None:
        delivery = config.delivery
        policy, jitter = RetryPolicy.of(delivery), random.random
        self._sender = Senders(
            config.node.ae_title, config.destinations, delivery.timeout_seconds, config.tls
        )
        self._breaker = Breaker(
            table=queues.breakers,
            configured=frozenset(each.name for each in config.destinations),
            policy=policy,
            most=delivery.breaker_failures,
            clock=clock,
            jitter=jitter,
        )
        askers = _askers(config, queues, clock)
        self._deliverer = Deliverer(
            owner=owner,
            outbox=queues.outbox,
            sender=self._sender,
            policy=policy,
            data_dir=config.node.data_dir,
            lease_seconds=delivery.lease_seconds,
            clock=clock,
            jitter=jitter,
            confirmed=frozenset(askers),
            note=self._breaker.note,
            stopping=stopping,
        )
        self._confirmer = Confirmer(
            owner=owner,
            commitments=queues.commitments,
            askers=askers,
            policy=policy,
            delivery=delivery,
            clock=clock,
            jitter=jitter,
            note=self._breaker.note,
            stopping=stopping,
        )
        self._reporter = Reporter(
            owner=owner,
            pledges=queues.pledges,
            config=config,
            policy=policy,
            clock=clock,
            jitter=jitter,
            stopping=stopping,
        )

    def deliver(self) -> None:
        """Send everything that is due."""
        self._deliverer.deliver_due()

    def confirm(self) -> None:
        """Ask after everything accepted that is due."""
        self._confirmer.confirm_due()

    def report(self) -> None:
        """Tell peers what the node keeps for them."""
        self._reporter.report_due()

    def probe(self) -> None:
        """Look whether destinations that were down are back."""
        self._breaker.probe(self._sender)


def _askers(config: Config, queues: Queues, clock: Clock) -> dict[str, Verifier]:
    """How to ask each destination that can be asked; DICOMweb says all it knows when it stores."""
    peers = [
        each
        for each in config.destinations
        if isinstance(each, DicomDestination) and each.commitment is not False
    ]
    folders = [each for each in config.destinations if isinstance(each, FolderDestination)]
    intake = Intake(queues.commitments, config.delivery, clock)
    inquirer = CommitmentScu(
        config.node.ae_title, peers, queues.commitments, intake, queues.audit, config.tls
    )
    folder_asker = FolderVerifier(folders, config.node.data_dir)
    return {each.name: inquirer for each in peers} | {each.name: folder_asker for each in folders}
