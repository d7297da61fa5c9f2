"""After a study was read: signed reports and key objects about our results become verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from dicom_node.domain.conflicts import message_key, reader_key
from dicom_node.domain.verdicts import Source, Verdict
from dicom_node.log import where
from dicom_node.verdicts.dicom_review import REVIEWS, read_review

if TYPE_CHECKING:
    from dicom_node.dicom.blobs import Blobs
    from dicom_node.domain.values import Instance, Job
    from dicom_node.ports import Clock
    from dicom_node.store.verdicts import VerdictTable
    from dicom_node.verdicts.report import ReportReader

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """Reads the reviews among the instances of a job; a bad one stops nothing."""

    verdicts: VerdictTable
    reader: ReportReader
    blobs: Blobs
    secret: bytes
    clock: Clock

    def read(self, job: Job) -> None:
        """Store the verdict of each review in a job."""
        for instance in job.instances:
            if instance.sop_class_uid not in REVIEWS:
                continue
            try:
                if (verdict := self._verdict(instance)) is not None:
                    self.verdicts.add([verdict])
            except Exception as error:
                # The study was read; a report about it must not make it fail.
                log.error("review not read", sop=instance.sop_instance_uid, error=where(error))
                log.debug("review not read", exc_info=True)

    def _verdict(self, instance: Instance) -> Verdict | None:
        with self.blobs.local(instance.path) as path:
            review = read_review(path, self.reader)
        if review is None:
            return None
        for study, reading in self.verdicts.reviewed(review.references):
            if (finding := review.verdict(reading)) is not None:
                now = self.clock()
                return Verdict(
                    finding=finding,
                    source=Source.DICOM,
                    given_at=min(review.given_at or now, now),
                    given_by=reader_key(self.secret, review.reader),
                    study_instance_uid=study,
                    rule=review.rule,
                    message_key=message_key(self.secret, "DICOM", instance.sop_instance_uid),
                )
        return None
