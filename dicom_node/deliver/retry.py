"""Retry with exponential backoff, as a pure function from an attempt to a decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from dicom_node.config import DeliveryConfig

#: The share of a delay that jitter may take away, so that what failed together is spread apart.
JITTER_SHARE = 0.25

#: Doublings after which a delay stops growing, whatever the configuration; keeps the float finite.
_MOST_DOUBLINGS = 64


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at this time."""

    due_at: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt; a person must decide."""

    attempts: int


Decision: TypeAlias = RetryAt | GiveUp


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Delays that double up to a longest one, and a last attempt.

    Parameters
    ----------
    first
        Delay after the first failed attempt, before jitter.
    longest
        No delay is longer than this.
    max_attempts
        How many failed attempts end the retries.
    """

    first: timedelta
    longest: timedelta
    max_attempts: int

    @classmethod
    def of(cls, config: DeliveryConfig) -> RetryPolicy:
        """Take the policy from the configuration's ``delivery`` section."""
        return cls(
            first=timedelta(seconds=config.first_retry_seconds),
            longest=timedelta(seconds=config.max_retry_seconds),
            max_attempts=config.max_attempts,
        )

    def next(self, attempt: int, now: datetime, jitter: float) -> Decision:
        """Decide what follows a failed attempt.

        Parameters
        ----------
        attempt
            The attempt that failed; 1 for the first.
        now
            When it failed.
        jitter
            In [0, 1); 0 gives the longest delay.
        """
        if attempt >= self.max_attempts:
            return GiveUp(attempt)
        return RetryAt(now + self.delay(attempt, jitter))

    def delay(self, attempt: int, jitter: float) -> timedelta:
        """The delay after a failed attempt, even if it was the last."""
        doubled = self.first.total_seconds() * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS)
        longest = min(doubled, self.longest.total_seconds())
        return timedelta(seconds=longest) * (1 - JITTER_SHARE * jitter)
