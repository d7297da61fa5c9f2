"""Record storage commitment reports, on any association, before they are answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from dicom_node.commitment.datasets import read_report
from dicom_node.errors import NodeError
from dicom_node.fail_points import fail_point

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.dataset import Dataset

    from dicom_node.config import DeliveryConfig
    from dicom_node.ports import Clock, Commitments

# Answers to N-EVENT-REPORT, PS3.7 10.1.1.1.8
TAKEN = 0x0000
FAILED = 0x0110  # processing failure: the peer may report again
NOT_OURS = 0x0115  # invalid argument value: not a report, or on no request to this peer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Intake:
    """Records storage commitment reports."""

    commitments: Commitments
    delivery: DeliveryConfig
    clock: Clock

    def take(
        self, event_information: Callable[[], Dataset], may_report: Callable[[str], bool]
    ) -> int:
        """Record what the report says; return the DIMSE status of the answer.

        Parameters
        ----------
        event_information
            Decodes the report.
        may_report
            Whether the peer is the destination of the given name.
        """
        try:
            report = read_report(event_information)
            asked = self.commitments.asked(report.transaction_uid)
            if asked is not None and not may_report(asked):
                log.warning("commitment report from a peer that was not asked", asked=asked)
                return NOT_OURS
            fail_point("commitment.reported")
            known = self.commitments.report(
                report,
                send_at=self.clock() + timedelta(seconds=self.delivery.first_retry_seconds),
                most=self.delivery.commitment_attempts,
            )
        except ValueError as error:
            log.warning("commitment report not understood", reason=str(error))
            return NOT_OURS
        except (NodeError, OSError) as error:
            log.error("commitment report not recorded", error=type(error).__name__)
            return FAILED
        if not known:
            log.warning("commitment report matches no request of this node")
            return NOT_OURS
        fail_point("commitment.answering")
        log.info("commitment report received", kept=len(report.kept), missing=len(report.missing))
        return TAKEN
