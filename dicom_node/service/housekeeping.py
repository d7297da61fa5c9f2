"""The hourly work of the deliverer process."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from dicom_node.audit import checkpoints
from dicom_node.dicom.blobs import BlobsAway
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import ConfigError, StoreWriteError
from dicom_node.service.alarms import certificates

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dicom_node.config import Config
    from dicom_node.ports import Audit, Clock, Retention

_ROUND = 100  # studies removed at a time
_CHECKPOINT_LINES = 500  # a checkpoint covers new lines when there are this many,
_CHECKPOINT_AGE = timedelta(minutes=5)  # or when the last one is this old

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Housekeeping:
    """Verifies the audit log, writes its checkpoint, checks certificates, removes old studies.

    Parameters
    ----------
    compare_films
        Looks for drift.
    """

    config: Config
    audit: Audit
    chain: checkpoints.Chain
    retention: Retention
    clock: Clock
    compare_films: Callable[[], object] = lambda: None
    reported: set[str] = field(default_factory=set)  # sentences; each is reported once
    verified: int = 0  # audit line up to which the chain was verified
    covered: int = 0  # audit line of the last checkpoint
    covered_at: datetime | None = None
    begun: bool = False  # this process has run the hourly tasks, or runs them now

    def run(self) -> None:
        """Run all hourly tasks."""
        self.begun = True
        self.verify_new_lines()
        self.write_checkpoint()
        self.warn_of_certificates()
        self.compare_films()
        self.remove_old_studies()

    def checkpoint_if_due(self) -> None:
        """Verify the new lines and write a checkpoint, every 500 lines or 5 minutes."""
        if not self.begun:  # another machine led until now
            self.run()
            return
        last, _ = self.chain.head()
        if last == self.covered or self.covered_at is None:  # `run` writes the first one
            return
        age = self.clock() - self.covered_at
        if last - self.covered >= _CHECKPOINT_LINES or age >= _CHECKPOINT_AGE:
            self.verify_new_lines()
            self.write_checkpoint()

    def verify_new_lines(self) -> None:
        """Report altered audit lines: verify the whole log at start, then the new lines.

        The alert is written before the next checkpoint, which then covers it: it cannot be removed
        unnoticed.
        """
        last, _ = self.chain.head()
        try:
            held = checkpoints.problems(self.chain, self.config)
        except (OSError, ConfigError) as error:
            log.error("cannot compare the audit log with its checkpoints", reason=str(error))
            held = []
        found = [
            each for each in [*self.chain.verify(self.verified), *held] if each not in self.reported
        ]
        if found:
            log.error("audit log altered", reason=found[0], problems=len(found))
            try:
                self.audit.append(checkpoints.alert(found))
            except StoreWriteError:  # a full disk: the next round finds it again
                return
            self.reported.update(found)
        self.verified = last

    def write_checkpoint(self) -> None:
        """Write a checkpoint of the audit log."""
        self.covered, self.covered_at = self.chain.head()[0], self.clock()
        try:
            checkpoints.write(self.chain, self.config, self.clock())
        except (OSError, ConfigError) as error:
            log.error("audit checkpoint not written", reason=str(error))

    def warn_of_certificates(self) -> None:
        """Report each expiring certificate once a day: its sentence changes with the days left."""
        for alarm in certificates(self.config, self.clock()):
            sentence = alarm.sentence
            if sentence in self.reported:
                continue
            self.reported.add(sentence)
            log.warning("certificate alarm", reason=sentence)
            detail: dict[str, object] = {"reason": sentence}
            self.audit.append(AuditEvent(kind=AuditKind.TLS_EXPIRING, detail=detail))

    def remove_old_studies(self) -> None:
        """Remove films, results and rows of studies that were kept long enough.

        Delivered ones after ``retention.days``; ones that are parked, held or withheld after
        ``retention.stuck_days``.
        """
        days, stuck_days = self.config.retention.days, self.config.retention.stuck_days
        if days is None:
            return
        before = self.clock() - timedelta(days=days)
        stuck = None if stuck_days is None else self.clock() - timedelta(days=stuck_days)
        removed = 0
        while studies := self.retention.removable(before, _ROUND, stuck):
            try:
                gone = [study for study in studies if self.retention.remove(study, before, stuck)]
            except BlobsAway as error:
                log.warning("old studies not removed", reason=str(error))
                break
            removed += len(gone)
            if not gone:
                break
        if removed:
            log.info("old studies removed", studies=removed)
