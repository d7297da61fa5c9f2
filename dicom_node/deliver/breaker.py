"""The circuit breaker of each destination: opened by failures in a row, closed by a probe."""

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
        """Ask the destination whether it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Watches over all destinations; safe to use from all threads, as the table behind it is.

    Parameters
    ----------
    configured
        The destinations there are. One that is not among them any more is not probed.
    most
        Connections that fail in a row before nothing more is sent to a destination.
    policy
        How long it is then left alone: longer with each probe that fails.
    """

    table: Breakers
    configured: frozenset[str]
    policy: RetryPolicy
    most: int
    clock: Clock
    jitter: Callable[[], float]

    def note(self, destination: str, failure: str | None) -> None:
        """Take note of a connection: why it failed, or None where the destination answered."""
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

    def probe(self, sender: _Echo) -> int:
        """Ask the destinations that are due whether they are back; how many are."""
        back = 0
        for destination in self.table.due():
            if destination not in self.configured:
                self.table.answered(destination)  # what waits for it comes to be held
                continue
            result = sender.echo(destination)
            self.note(destination, None if result.ok else result.reason)
            back += result.ok
        return back
