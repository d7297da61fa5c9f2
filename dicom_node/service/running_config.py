"""The configuration that the running node uses, and how another one takes its place.

The supervisor keeps it as ``running.json`` in the data folder; the other processes read it from
there, at their start and when it changes. So all of them use what the supervisor has checked,
whatever a person is writing into the configuration file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_node.config import Config
from dicom_node.dicom.files import durable_write
from dicom_node.errors import ConfigError, NodeError

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "running.json"

#: What may change while the node runs: sections, and keys of sections.
RELOADABLE = frozenset({
    "alerts", "destinations", "drift", "gate", "log", "priority", "report", "results", "retention",
    "select", "study", "thresholds",
    "node.allowed_calling", "node.require_called", "node.users_file",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The keys in which two configurations differ, such as ``node.port`` and ``destinations``."""

    reloadable: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()  # these need a restart of the node


def path(config: Config) -> Path:
    """The file of the running configuration."""
    return config.run_dir / _FILE


def publish(config: Config) -> None:
    """Write the configuration that the node uses from now on, durably, in one step.

    Raises
    ------
    NodeError
        The data folder cannot be written.
    """
    text, file = config.model_dump_json(indent=1), path(config)
    try:
        durable_write(file, lambda stream: stream.write(text.encode()))
    except OSError as error:
        raise NodeError(f"{file} cannot be written: {error.strerror}") from error


def running(config: Config) -> Config | None:
    """The configuration that the node used last; None if there is none, or of another version."""
    try:
        return read(path(config))
    except ConfigError:
        return None


def with_running_roles(config: Config) -> Config:
    """The configuration with the roles of the node that used it last: `run --role` may set them."""
    used = running(config)
    if used is None:
        return config
    node = config.node.model_copy(update={"roles": used.node.roles})
    return config.model_copy(update={"node": node})


def read(file: Path) -> Config:
    """Read what `publish` wrote.

    Raises
    ------
    ConfigError
        The file is missing, or another version of the node wrote it.
    """
    try:
        return Config.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from error


def changes(old: Config, new: Config) -> Changes:
    """The keys that differ, by what the new values need."""
    differing = sorted(_differing(old, new))
    return Changes(
        reloadable=tuple(key for key in differing if _is_reloadable(key)),
        restart=tuple(key for key in differing if not _is_reloadable(key)),
    )


def _differing(old: Config, new: Config) -> set[str]:
    keys = set()
    before, after = (json.loads(each.model_dump_json()) for each in (old, new))
    for section, values in after.items():
        if values == before[section]:
            continue
        if isinstance(values, dict) and section not in RELOADABLE:
            keys |= {f"{section}.{key}" for key in _unequal(before[section], values)}
        else:
            keys.add(section)
    return keys


def _unequal(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {key for key, value in after.items() if value != before[key]}


def _is_reloadable(key: str) -> bool:
    return key in RELOADABLE
