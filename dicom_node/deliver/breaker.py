"""The circuit breaker of each destination: consecutive failures open it, a probe closes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.deliver.retry import RetryPolicy
    from dicom_node.deliver.status import EchoResult
    from dicom_node.ports import Breakers, Clock

log = structlog.get_logger()


class _Echo(Protocol):
    def echo(self, destination: str) -> EchoResult:
        """Test the connection to the destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The breakers of all destinations; safe to use from any thread.

    Parameters
    ----------
    configured
        The names of the configured destinations; others are not probed.
    most
        Consecutive failures after which nothing more is sent to a destination.
    policy
        When to probe: the delay grows with each probe that fails.
    """

    table: Breakers
    configured: frozenset[str]
    policy: RetryPolicy
    most: int
    clock: Clock
    jitter: Callable[[], float]

    def note(self, destination: str, failure: str | None) -> None:
        """Record a connection: why it failed, or None if the destination answered."""
        if failure is None:
            self.table.answered(destination)
            return
        failures = self.table.failures(destination) + 1
        probe_at = None
        if failures >= self.most:
            delay = self.policy.delay(failures - self.most + 1, self.jitter())
            probe_at = self.clock() + delay
            log.warning("destination is down", destination=destination, reason=failure)
        self.table.failed(destination, failure, probe_at)

    def due(self) -> list[str]:
        """The destinations to probe now; what left the configuration waits for no probe's time."""
        return self.table.due(self.configured)

    def probe(self, sender: _Echo, destination: str) -> bool:
        """Probe a destination; return whether it answers again."""
        if destination not in self.configured:
            self.table.answered(destination)  # its deliveries become held
            return False
        result = sender.echo(destination)
        self.note(destination, None if result.ok else result.reason)
        return result.ok
