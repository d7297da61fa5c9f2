"""Sends audit lines to the repository in their order; the audit log itself is the queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from dicom_node.audit.messages.transport import frame, send
from dicom_node.dicom.blobs import BlobsAway
from dicom_node.errors import ConfigError, NodeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dicom_node.audit.messages.message import AuditMessageBuilder
    from dicom_node.config import RepositoryConfig, TlsConfig
    from dicom_node.deliver.retry import RetryPolicy
    from dicom_node.domain.audit import AuditRecord
    from dicom_node.ports import AuditReader, Clock

REPOSITORY = "repository"  # the name of its position in the audit log
_LINES = 200  # read at a time
_SECONDS = 15.0  # for each step of a connection

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Forwarder:
    """Sends each line until a connection accepts it; a crash may send some lines twice.

    Parameters
    ----------
    policy
        How long to wait after each consecutive failure.
    """

    lines: AuditReader
    builder: AuditMessageBuilder
    repository: RepositoryConfig
    tls: TlsConfig
    policy: RetryPolicy
    clock: Clock
    jitter: Callable[[], float]
    failures: int = 0
    not_before: datetime | None = field(default=None)

    def forward(self) -> None:
        """Send what was not sent, until nothing is left or sending fails."""
        if self.not_before is not None and self.clock() < self.not_before:
            return
        while lines := self._unsent():
            try:
                frames = [
                    frame(line.at, self.builder.host, message)
                    for line in lines
                    if (message := self.builder.message(line)) is not None
                ]
            except BlobsAway as error:  # a film has the patient number
                self._back_off(str(error))
                return
            if frames and (failure := self._send(frames)) is not None:
                self._back_off(failure)
                return
            self.lines.advance(REPOSITORY, lines[-1].sequence)
            if self.failures:
                log.info("audit repository is back")
            self.failures, self.not_before = 0, None

    def _unsent(self) -> list[AuditRecord]:
        try:
            return self.lines.after(self.lines.position(REPOSITORY), _LINES)
        except NodeError as error:
            self._back_off(str(error))
            return []

    def _send(self, frames: list[bytes]) -> str | None:
        try:
            return send(frames, self.repository, self.tls, _SECONDS)
        except ConfigError as error:  # a file of `tls` is missing
            return str(error)

    def _back_off(self, failure: str) -> None:
        self.failures += 1
        wait: timedelta = self.policy.delay(self.failures, self.jitter())
        self.not_before = self.clock() + wait
        log.warning("audit messages not sent", reason=failure, failures=self.failures)
