"""Alarms: conditions that a person should act on, such as a full disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dicom_node.config import Config

MIB = 2**20
_UNREAD_WAITS = 10  # times study.longest_wait_seconds


def alarms(config: Config, now: datetime) -> list[str]:
    """One sentence for each alarm, the worst first."""
    return [
        *disk(config),
        *reception(config, now),
        *certificates(config, now),
        *checkpoints(config),
        *access(config),
    ]


_RECEPTION = {
    "instance-differs": "{} objects came under a SOP Instance UID that another object has",
    "patient-mismatch": "{} objects were refused: their study belongs to another patient",
    "connections-cut": "silent connections were cut, {} times",
}


def reception(config: Config, now: datetime) -> list[str]:
    """What reception refused or could not keep apart in the last 24 hours."""
    from dicom_node.store.recent import recent_problems

    return [
        f"{_RECEPTION[name].format(count)} in the last 24 hours: see `audit tail` and `show`"
        for name, count in recent_problems(config.node.data_dir, now).items()
    ]


def access(config: Config) -> list[str]:
    """Whether any peer on the network may call the node."""
    node, tls = config.node, config.tls
    asks_who = node.allowed_calling or node.users_file or (not node.plain and tls.mutual)
    if asks_who or node.host in ("127.0.0.1", "::1", "localhost"):
        return []
    return [
        "any peer on the network may call: set node.allowed_calling, node.users_file or mutual TLS "
        "without node.plain, or listen on 127.0.0.1 (node.host)"
    ]


def disk(config: Config) -> list[str]:
    """An alarm if instances are rejected because the disk is full."""
    data_dir, least = config.node.data_dir, config.spool.min_free_mb
    free = shutil.disk_usage(data_dir).free // MIB if data_dir.is_dir() else least
    if free >= least:
        return []
    return [f"films are rejected: {free} MiB free below {data_dir}, spool.min_free_mb is {least}"]


def checkpoints(config: Config) -> list[str]:
    """An alarm if the audit log's checkpoints lie beside the database that they protect."""
    folder = config.audit.checkpoint_dir
    data_dir = config.node.data_dir.absolute()
    if folder is not None and not folder.absolute().is_relative_to(data_dir):
        return []
    return ["checkpoints of the audit log lie beside the database: set audit.checkpoint_dir"]


def unread(config: Config, oldest: datetime | None, now: datetime) -> list[str]:
    """An alarm if a film has waited for its reading far longer than it should."""
    if oldest is None:
        return []
    seconds = (now - oldest).total_seconds()
    if seconds <= _UNREAD_WAITS * config.study.longest_wait_seconds:
        return []
    return [f"a film has waited {seconds / 60:.0f} minutes to be read: see `studies`"]


def unsent(config: Config, lines: int, oldest_seconds: int) -> list[str]:
    """An alarm if audit lines have waited for the repository for too long."""
    repository = config.audit.repository
    if repository is None or lines == 0 or oldest_seconds <= 60 * repository.late_minutes:
        return []
    return [
        f"{lines} audit lines were not sent to the repository {repository.host}, the oldest "
        f"{oldest_seconds // 60} minutes ago; audit.repository.late_minutes is "
        f"{repository.late_minutes:g}"
    ]


def certificates(config: Config, now: datetime) -> list[str]:
    """An alarm for each certificate that has expired or will soon."""
    if config.tls.certificate_file is None and config.tls.ca_file is None:
        return []
    from dicom_node.tls.certificates import (
        expiring,  # not imported by `status` unless TLS is configured
    )

    return expiring(config.tls, now)
