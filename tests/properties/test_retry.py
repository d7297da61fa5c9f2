"""What every retry policy keeps to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dicom_node.deliver.retry import GiveUp, RetryAt, RetryPolicy

seconds = st.floats(min_value=0.001, max_value=1e6).map(lambda s: timedelta(seconds=s))
jitters = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)
times = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
policies = st.builds(
    RetryPolicy, first=seconds, longest=seconds, max_attempts=st.integers(1, 10_000)
)
attempts = st.integers(1, 10_000)


@given(policies, attempts, times, jitters)
def test_never_in_the_past(policy: RetryPolicy, attempt: int, now: datetime, jitter: float) -> None:
    """A retry is due after now, and never later than the longest delay."""
    decision = policy.next(attempt, now, jitter)
    if isinstance(decision, RetryAt):
        assert now < decision.due_at <= now + policy.longest


@given(policies, attempts, times, jitters)
def test_monotone(policy: RetryPolicy, attempt: int, now: datetime, jitter: float) -> None:
    """A later attempt never waits less, and giving up is for good."""
    earlier, later = (policy.next(n, now, jitter) for n in (attempt, attempt + 1))
    if isinstance(earlier, GiveUp):
        assert isinstance(later, GiveUp)
    if isinstance(earlier, RetryAt) and isinstance(later, RetryAt):
        assert earlier.due_at <= later.due_at


@given(policies, attempts, times, jitters)
def test_ends(policy: RetryPolicy, attempt: int, now: datetime, jitter: float) -> None:
    """Exactly the attempts below the limit are followed by another."""
    decision = policy.next(attempt, now, jitter)
    assert isinstance(decision, RetryAt) == (attempt < policy.max_attempts)
