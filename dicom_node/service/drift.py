"""The hourly comparison of the films with the reference of drift."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from dicom_node.config.sections import DriftConfig
    from dicom_node.store.drift import DriftTable

log = structlog.get_logger()


def watch(table: DriftTable, settings: DriftConfig) -> None:
    """Compare, keep what is above the alarm for `status`, and log what began or ended."""
    found = table.look(timedelta(days=settings.recent_days))
    for event in table.settle(found.shifts if found else (), settings.alarm):
        log.warning(event.kind.value, **event.detail)
