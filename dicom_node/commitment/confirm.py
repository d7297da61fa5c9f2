"""Ask destinations whether they keep what they accepted, and decide when to ask again."""

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
    """What a verification achieved."""

    REQUESTED = auto()  # the destination will report, or has reported
    REFUSED = auto()  # refused now; a later request may succeed
    LOOKED_UP = auto()  # ``kept`` was found; nothing else is there
    NO_WAY = auto()  # the destination cannot be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result of asking a destination once."""

    found: Found
    reason: str
    kept: frozenset[str] = frozenset()  # SOP Instance UIDs
    by: str = ""


class Verifier(Protocol):
    """Asks one kind of destination."""

    def ask(self, query: CommitmentQuery) -> Verification:
        """Ask whether the objects are kept; raises PeerUnavailable if there is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmer:
    """Verifies accepted deliveries, one commitment query after the other.

    Parameters
    ----------
    verifiers
        How to ask each destination; a destination without one is not asked.
    note
        Called after each query with the destination and why it was not reached, or None if it was.
    """

    owner: str
    commitments: Commitments
    verifiers: Mapping[str, Verifier]
    policy: RetryPolicy
    delivery: DeliveryConfig
    clock: Clock
    jitter: Callable[[], float]
    note: Callable[[str, str | None], None] = lambda *_: None
    stopping: threading.Event = field(default_factory=threading.Event)

    def confirm_due(self, destination: str | None = None) -> int:
        """Ask one destination, or all, until nothing is due; return the number of queries."""
        asked = 0
        while not self.stopping.is_set() and (query := self._claim(destination)) is not None:
            try:
                self._ask(query)
            except LeaseLost:
                log.warning("lease lost, commitment not requested", study=query.study_instance_uid)
            asked += 1
        return asked

    def _claim(self, destination: str | None) -> CommitmentQuery | None:
        lease_until = self.clock() + timedelta(seconds=self.delivery.lease_seconds)
        return self.commitments.claim(self.owner, lease_until, destination)

    def _ask(self, query: CommitmentQuery) -> None:
        verifier = self.verifiers.get(query.destination)
        if verifier is None:
            reason = "accepted; the configuration no longer asks this destination"
            self.commitments.put_off(query, reason, None, asked=False)
            return
        try:
            answer = verifier.ask(query)
        except PeerUnavailable as error:
            self.note(query.destination, str(error))
            reason = f"accepted; whether it is kept is not known yet: {error}"
            self.commitments.put_off(query, reason, self._later(1), asked=False)
            return
        self.note(query.destination, None)
        self._settle(query, answer)

    def _settle(self, query: CommitmentQuery, answer: Verification) -> None:
        asked = query.asked + 1
        confirm_at: datetime | None = self._later(asked)
        if answer.found is Found.REQUESTED:
            patience = timedelta(seconds=self.delivery.commitment_timeout_seconds)
            confirm_at = self.clock() + patience
        elif answer.found is Found.NO_WAY or asked > 2 * self.delivery.commitment_attempts:
            confirm_at = None  # requests and queries are used up
        elif answer.found is Found.LOOKED_UP:
            # An archive may list an object late, so only the last query counts it as missing.
            last = asked >= self.delivery.commitment_attempts
            self.commitments.found(
                query, answer.kept, answer.by,
                send_at=self._later(1) if last else None, most=self.delivery.commitment_attempts,
            )  # fmt: skip
        reason = f"accepted; {answer.reason}"
        self.commitments.put_off(query, reason, confirm_at, asked=True)

    def _later(self, asked: int) -> datetime:
        return self.clock() + self.policy.delay(asked, self.jitter())
