"""What a person should know before it hurts: a disk that fills up, a certificate that expires."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dicom_node.config import Config

MIB = 2**20


def alarms(config: Config, now: datetime) -> list[str]:
    """Sentences, the worst first; none where all is well."""
    return [*disk(config), *certificates(config, now)]


def disk(config: Config) -> list[str]:
    """Whether films are refused because the disk is full."""
    data_dir, least = config.node.data_dir, config.spool.min_free_mb
    free = shutil.disk_usage(data_dir).free // MIB if data_dir.is_dir() else least
    if free >= least:
        return []
    return [f"films are refused: {free} MiB free below {data_dir}, spool.min_free_mb is {least}"]


def untold(config: Config, lines: int, oldest_seconds: int) -> list[str]:
    """Whether lines of the audit trail wait for the repository for too long."""
    repository = config.audit.repository
    if repository is None or lines == 0 or oldest_seconds <= 60 * repository.late_minutes:
        return []
    return [
        f"the audit repository {repository.host} was not told {lines} lines, the oldest "
        f"{oldest_seconds // 60} minutes old, audit.repository.late_minutes is "
        f"{repository.late_minutes:g}"
    ]


def certificates(config: Config, now: datetime) -> list[str]:
    """Certificates that have expired, or will soon."""
    if config.tls.certificate_file is None and config.tls.ca_file is None:
        return []
    from dicom_node.tls.certificates import expiring  # `status` starts without it elsewhere

    return expiring(config.tls, now)
