"""Alarms: conditions that a person should act on. Here those of machine and configuration.

Those of the work that waits are in `dicom_node.service.work_alarms`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from dicom_node.config import Config

MIB = 2**20
_CHECK = "dicom-node config check"


#: critical: films or results do not arrive where they should; warning: they will not, some day.
Level: TypeAlias = Literal["critical", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A condition that a person should act on.

    Parameters
    ----------
    code
        Names the condition, stable across releases.
    sentence
        What is wrong, without patient identity.
    command
        What to run next.
    """

    code: str
    level: Level
    sentence: str
    command: str

    def __str__(self) -> str:
        return f"{self.sentence}: {self.command}"


def alarms(config: Config, now: datetime) -> list[Alarm]:
    """The alarms of machine and configuration, the worst first."""
    return [
        *disk(config),
        *bucket(config),
        *reception(config, now),
        *certificates(config, now),
        *checkpoints(config),
        *access(config),
        *unbound(config),
        *drift(config),
    ]


_RECEPTION = {
    "instance-differs": "{} objects came under a SOP Instance UID that another object has",
    "patient-mismatch": "{} objects were refused: their study belongs to another patient",
    "connections-cut": "silent connections were cut, {} times",
    "locked-out": "an address was locked out after wrong passcodes, {} times",
    "quota-exceeded": "a peer or an address sent more than its quota, {} times",
    "shadow-failed": "the candidate of models.shadow could not be used, {} times",
    "engine-failed": "a GPU had no memory for a film and is not used any more, {} times",
}


def reception(config: Config, now: datetime) -> list[Alarm]:
    """Alarms about refusals and conflicting objects at reception in the last 24 hours."""
    from dicom_node.store.recent import recent_problems

    return [
        Alarm(
            code=name,
            level="warning",
            sentence=f"{_RECEPTION[name].format(count)} in the last 24 hours",
            command="dicom-node audit tail -n 200",
        )
        for name, count in recent_problems(config.node.data_dir, now, config.store.url).items()
    ]


def drift(config: Config) -> list[Alarm]:
    """An alarm for each measure of a sender that differs from the reference month."""
    from dicom_node.store import recent

    return [
        Alarm(
            code="drift",
            level="warning",
            sentence=f"the films of {each.sender} differ from the reference since "
            f"{each.begun_at[:10]}: {each.measure}, population stability index {each.shift:.2f}",
            command="dicom-node drift",
        )
        for each in recent.drift(config.node.data_dir, config.store.url)
    ]


def access(config: Config) -> list[Alarm]:
    """An alarm if any peer on the network may call the node."""
    node, tls = config.node, config.tls
    asks_who = node.allowed_calling or node.users_file or (not config.plain_is_open and tls.mutual)
    if asks_who or node.host in ("127.0.0.1", "::1", "localhost"):
        return []
    sentence = (
        "any peer on the network may call: set node.allowed_calling, node.users_file or mutual TLS "
        "without node.plain, or listen on 127.0.0.1 (node.host)"
    )
    return [Alarm(code="open", level="warning", sentence=sentence, command=_CHECK)]


def unbound_titles(config: Config) -> tuple[str, ...]:
    """AE titles of the allow-list that a peer may use with any certificate of `tls.ca_file`."""
    if config.tls.port is None or not config.tls.mutual:
        return ()
    listed = (each.ae_title for each in config.node.allowed_calling if not each.certificate)
    return tuple(dict.fromkeys(listed))


def unbound(config: Config) -> list[Alarm]:
    """An alarm if a peer with any certificate may use an AE title of the allow-list."""
    if not (titles := unbound_titles(config)):
        return []
    sentence = (
        f"any certificate may use the AE title {' or '.join(titles)}: "
        "set certificate in that entry of node.allowed_calling"
    )
    return [Alarm(code="certificate-unbound", level="warning", sentence=sentence, command=_CHECK)]


def disk(config: Config) -> list[Alarm]:
    """An alarm if instances are rejected because the disk is full."""
    data_dir, least = config.node.data_dir, config.spool.min_free_mb
    free = shutil.disk_usage(data_dir).free // MIB if data_dir.is_dir() else least
    if free >= least:
        return []
    sentence = f"films are rejected: {free} MiB free in {data_dir}, spool.min_free_mb is {least}"
    return [Alarm(code="disk", level="critical", sentence=sentence, command=f"df -h {data_dir}")]


def bucket(config: Config) -> list[Alarm]:
    """An alarm if the bucket of `store.files` cannot be reached."""
    if not config.store.in_bucket:
        return []
    from dicom_node.store.bucket import bucket_fault

    if (fault := bucket_fault(config.store)) is None:
        return []
    sentence = f"films are rejected, and results wait: {fault}"
    command = "dicom-node doctor bucket"
    return [Alarm(code="bucket", level="critical", sentence=sentence, command=command)]


def checkpoints(config: Config) -> list[Alarm]:
    """An alarm if the audit log's checkpoints lie beside the database that they protect."""
    folder = config.audit.checkpoint_dir
    data_dir = config.node.data_dir.absolute()
    if folder is not None and not folder.absolute().is_relative_to(data_dir):
        return []
    sentence = "checkpoints of the audit log lie beside the database: set audit.checkpoint_dir"
    return [Alarm(code="checkpoints", level="warning", sentence=sentence, command=_CHECK)]


def certificates(config: Config, now: datetime) -> list[Alarm]:
    """An alarm for each certificate that has expired or will soon."""
    if config.tls.certificate_file is None and config.tls.ca_file is None:
        return []
    from dicom_node.tls.certificates import (
        expiring,  # not imported by `status` unless TLS is configured
    )

    return [
        Alarm(
            code="certificate",
            level="warning" if " expires in " in sentence else "critical",
            sentence=sentence,
            command="dicom-node doctor tls",
        )
        for sentence in expiring(config.tls, now)
    ]
