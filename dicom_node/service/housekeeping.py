"""What is done once an hour, by the process that also delivers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from dicom_node.audit import checkpoints
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import AuditError, ConfigError
from dicom_node.service.alarms import certificates

if TYPE_CHECKING:
    from dicom_node.config import Config
    from dicom_node.ports import Audit, Clock, Retention

_ROUND = 100  # studies looked up at a time

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Housekeeping:
    """Examines the trail, vouches for it, warns of certificates, removes what is old."""

    config: Config
    audit: Audit
    chain: checkpoints.Chain
    retention: Retention
    clock: Clock
    told: set[str] = field(default_factory=set)  # of certificates and the trail; each once
    walked: int = 0  # line of the trail up to which it was looked through

    def run(self) -> None:
        """Do all of it."""
        self.verify_new_lines()
        self.vouch()
        self.warn_of_certificates()
        self.remove_old_studies()

    def verify_new_lines(self) -> None:
        """Raise an alert where somebody meddled with the trail: all of it at start, then the rest.

        The alert comes before the next checkpoint, so that it cannot be taken out again.
        """
        last, _ = self.chain.head()
        try:
            held = checkpoints.problems(self.chain, self.config)
        except (OSError, ConfigError) as error:
            log.error("the audit trail is not held against its checkpoints", reason=str(error))
            held = []
        found = [each for each in [*self.chain.verify(self.walked), *held] if each not in self.told]
        if found:
            log.error("audit trail broken", reason=found[0], problems=len(found))
            try:
                self.audit.append(checkpoints.alert(found))
            except AuditError:  # the next round finds it again; room is made meanwhile
                return
            self.told.update(found)
        self.walked = last

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
