"""What is done once an hour, by the process that also delivers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from dicom_node import checkpoints
from dicom_node.alarms import certificates
from dicom_node.domain import AuditEvent, AuditKind
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from dicom_node.config import Config
    from dicom_node.ports import Audit, Clock, Retention

_ROUND = 100  # studies looked up at a time

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """Vouches for the trail, warns of certificates, removes what is delivered and old."""

    config: Config
    audit: Audit
    chain: checkpoints.Chain
    retention: Retention
    clock: Clock
    told: set[str] = field(default_factory=set)  # of certificates; what is told, once

    def run(self) -> None:
        """Do all of it."""
        self.vouch()
        self.warn_of_certificates()
        self.remove_old_studies()

    def vouch(self) -> None:
        """Write a checkpoint of the audit trail."""
        try:
            checkpoints.write(self.chain, self.config, self.clock())
        except (OSError, ConfigError) as error:
            log.error("no checkpoint of the audit trail", reason=str(error))

    def warn_of_certificates(self) -> None:
        """Say in the log and the trail which certificates expire: once a day, as days are told."""
        for sentence in certificates(self.config, self.clock()):
            if sentence in self.told:
                continue
            self.told.add(sentence)
            log.warning("certificate", reason=sentence)
            detail: dict[str, object] = {"reason": sentence}
            self.audit.append(AuditEvent(kind=AuditKind.TLS_EXPIRING, detail=detail))

    def remove_old_studies(self) -> None:
        """Remove films, results and rows of studies that everybody has had for long enough."""
        days = self.config.retention.days
        if days is None:
            return
        before = self.clock() - timedelta(days=days)
        removed = 0
        while studies := self.retention.removable(before, _ROUND):
            gone = [study for study in studies if self.retention.remove(study, before)]
            removed += len(gone)
            if not gone:
                break
        if removed:
            log.info("old studies removed", studies=removed)
