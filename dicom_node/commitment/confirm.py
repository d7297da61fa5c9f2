"""Asking destinations whether they keep what they accepted: by whom, how often, and until when."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

import structlog

from dicom_node.errors import LeaseLost, PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from dicom_node.config import DeliveryConfig
    from dicom_node.deliver.retry import RetryPolicy
    from dicom_node.domain.commitment import CommitmentQuery
    from dicom_node.ports import Clock, Commitments

log = structlog.get_logger()


class Found(Enum):
    """How far a question came."""

    REQUESTED = auto()  # the destination will report, or has reported already
    REFUSED = auto()  # not now; another question may fare better
    LOOKED_UP = auto()  # ``kept`` was found, and nothing else
    NO_WAY = auto()  # the destination cannot be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one question."""

    found: Found
    reason: str
    kept: frozenset[str] = frozenset()  # SOP Instance UIDs
    by: str = ""


class Verifier(Protocol):
    """The way to ask one kind of destination."""

    def ask(self, inquiry: CommitmentQuery) -> Answer:
        """Ask; raises PeerUnavailable where nobody answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmer:
    """Settles accepted deliveries, one inquiry after the other.

    Parameters
    ----------
    askers
        How to ask each destination; one that is not here is asked nothing.
    note
        Told of a destination after each question: why it was not reached, or None where it was.
    """

    owner: str
    commitments: Commitments
    askers: Mapping[str, Verifier]
    policy: RetryPolicy
    delivery: DeliveryConfig
    clock: Clock
    jitter: Callable[[], float]
    note: Callable[[str, str | None], None] = lambda *_: None
    stopping: threading.Event = field(default_factory=threading.Event)

    def confirm_due(self) -> int:
        """Ask until nothing is due; how many inquiries there were."""
        asked = 0
        while not self.stopping.is_set() and (inquiry := self._claim()) is not None:
            try:
                self._ask(inquiry)
            except LeaseLost:
                log.warning("lease lost, nothing asked", study=inquiry.study_instance_uid)
            asked += 1
        return asked

    def _claim(self) -> CommitmentQuery | None:
        lease_until = self.clock() + timedelta(seconds=self.delivery.lease_seconds)
        return self.commitments.claim(self.owner, lease_until)

    def _ask(self, inquiry: CommitmentQuery) -> None:
        asker = self.askers.get(inquiry.destination)
        if asker is None:
            reason = "accepted; the configuration does not ask this destination any more"
            self.commitments.put_off(inquiry, reason, None, asked=False)
            return
        try:
            answer = asker.ask(inquiry)
        except PeerUnavailable as error:
            self.note(inquiry.destination, str(error))
            reason = f"accepted; not known yet whether it is kept: {error}"
            self.commitments.put_off(inquiry, reason, self._later(1), asked=False)
            return
        self.note(inquiry.destination, None)
        self._settle(inquiry, answer)

    def _settle(self, inquiry: CommitmentQuery, answer: Answer) -> None:
        asked = inquiry.asked + 1
        confirm_at: datetime | None = self._later(asked)
        if answer.found is Found.REQUESTED:
            patience = timedelta(seconds=self.delivery.commitment_timeout_seconds)
            confirm_at = self.clock() + patience
        elif answer.found is Found.NO_WAY or asked > 2 * self.delivery.commitment_attempts:
            confirm_at = None  # as many requests and as many queries were in vain
        elif answer.found is Found.LOOKED_UP:
            # Archives may take a while to list what they have; only then it counts as lost.
            last = asked >= self.delivery.commitment_attempts
            self.commitments.found(
                inquiry, answer.kept, answer.by,
                send_at=self._later(1) if last else None, most=self.delivery.commitment_attempts,
            )  # fmt: skip
        reason = f"accepted; {answer.reason}"
        self.commitments.put_off(inquiry, reason, confirm_at, asked=True)

    def _later(self, asked: int) -> datetime:
        return self.clock() + self.policy.delay(asked, self.jitter())
