"""The trail told to the repository, in its order; the trail itself is the queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from dicom_node.audit.messages.transport import frame, send
from dicom_node.errors import ConfigError, NodeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dicom_node.audit.messages.message import AuditMessageBuilder
    from dicom_node.config import RepositoryConfig, TlsConfig
    from dicom_node.deliver.retry import RetryPolicy
    from dicom_node.domain.audit import AuditRecord
    from dicom_node.ports import Clock, Trail

REPOSITORY = "repository"  # the name of its place in the trail
_LINES = 200  # read at a time
_SECONDS = 15.0  # for each step of a connection

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Forwarder:
    """Tells every line once the connection took it; a crash or an outage may tell some twice.

    Parameters
    ----------
    policy
        How long the repository is left alone after each failure in a row.
    """

    trail: Trail
    teller: AuditMessageBuilder
    repository: RepositoryConfig
    tls: TlsConfig
    policy: RetryPolicy
    clock: Clock
    jitter: Callable[[], float]
    failures: int = 0
    not_before: datetime | None = field(default=None)

    def forward(self) -> None:
        """Tell what has not been told, until nothing is left or it fails."""
        if self.not_before is not None and self.clock() < self.not_before:
            return
        while lines := self._untold():
            told = [
                frame(line.at, self.teller.host, message)
                for line in lines
                if (message := self.teller.message(line)) is not None
            ]
            if told and (failure := self._send(told)) is not None:
                self._leave_alone(failure)
                return
            self.trail.advance(REPOSITORY, lines[-1].sequence)
            if self.failures:
                log.info("audit repository is back")
            self.failures, self.not_before = 0, None

    def _untold(self) -> list[AuditRecord]:
        try:
            return self.trail.after(self.trail.position(REPOSITORY), _LINES)
        except NodeError as error:
            self._leave_alone(str(error))
            return []

    def _send(self, told: list[bytes]) -> str | None:
        try:
            return send(told, self.repository, self.tls, _SECONDS)
        except ConfigError as error:  # a file of `tls` is gone
            return str(error)

    def _leave_alone(self, failure: str) -> None:
        self.failures += 1
        wait: timedelta = self.policy.delay(self.failures, self.jitter())
        self.not_before = self.clock() + wait
        log.warning("audit trail not told", reason=failure, failures=self.failures)
