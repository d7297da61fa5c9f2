"""What is done once an hour, by the process that also delivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from dicom_node.alarms import certificates
from dicom_node.domain import AuditEvent, AuditKind

if TYPE_CHECKING:
    from dicom_node.config import Config
    from dicom_node.ports import Audit, Clock

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """Warns of certificates."""

    config: Config
    audit: Audit
    clock: Clock

    def run(self) -> None:
        """Do all of it."""
        self.warn_of_certificates()

    def warn_of_certificates(self) -> None:
        """Say in the log and the trail which certificates expire."""
        for sentence in certificates(self.config, self.clock()):
            log.warning("certificate", reason=sentence)
            detail: dict[str, object] = {"reason": sentence}
            self.audit.append(AuditEvent(kind=AuditKind.TLS_EXPIRING, detail=detail))
