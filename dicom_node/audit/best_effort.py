"""Lines of the trail that nobody waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from dicom_node.errors import AuditError
from dicom_node.log import where

if TYPE_CHECKING:
    from dicom_node.domain.audit import AuditEvent
    from dicom_node.ports import Audit

log = structlog.get_logger()


def tell(audit: Audit, event: AuditEvent) -> None:
    """Write a line; where it cannot be written, it stands in the log."""
    try:
        audit.append(event)
    except (OSError, AuditError) as error:
        log.error("not audited", kind=event.kind.value, error=where(error))
