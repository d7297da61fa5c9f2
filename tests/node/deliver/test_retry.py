"""The backoff, as a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.config import DeliveryConfig
from dicom_node.deliver.retry import GiveUp, RetryAt, RetryPolicy

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attempt", "jitter", "seconds"),
    [
        (1, 0.0, 5.0),
        (2, 0.0, 10.0),
        (3, 0.0, 20.0),
        (8, 0.0, 640.0),
        (9, 0.0, 900.0),
        (199, 0.0, 900.0),
        (1, 0.5, 4.375),
        (9, 0.5, 787.5),
    ],
)
def test_delays_double_up_to_the_longest(attempt: int, jitter: float, seconds: float) -> None:
    """Delays double from the first to the longest; jitter takes away a quarter at most."""
    decision = RetryPolicy.of(DeliveryConfig()).next(attempt, NOW, jitter)
    assert decision == RetryAt(NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("attempt", [200, 201])
def test_gives_up(attempt: int) -> None:
    """The last attempt is the last."""
    assert RetryPolicy.of(DeliveryConfig()).next(attempt, NOW, 0.0) == GiveUp(attempt)


def test_two_days() -> None:
    """With the default configuration a dead destination is tried for about two days."""
    policy, now, attempt = RetryPolicy.of(DeliveryConfig()), NOW, 1
    while isinstance(decision := policy.next(attempt, now, 0.5), RetryAt):
        now, attempt = decision.due_at, attempt + 1
    assert timedelta(days=1.5) < now - NOW < timedelta(days=2.5)
