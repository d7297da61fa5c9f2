"""Audit events whose failure is logged, not raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from dicom_node.errors import StoreWriteError
from dicom_node.log import where

if TYPE_CHECKING:
    from dicom_node.domain.audit import AuditEvent
    from dicom_node.ports import Audit

log = structlog.get_logger()


def record_or_log(audit: Audit, event: AuditEvent) -> None:
    """Write an event to the audit log; if that fails, write an error to the program's log."""
    try:
        audit.append(event)
    except (OSError, StoreWriteError) as error:
        log.error("audit line not written", kind=event.kind.value, error=where(error))
