"""How long a process works with one configuration: until it stops, or another one is in use."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from dicom_node import log as logging
from dicom_node.errors import ConfigError
from dicom_node.service import running_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_node.config import Config

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Term:
    """The present term of one process, and the one that follows.

    Parameters
    ----------
    owner
        Name of the process.
    config
        What it works with.
    file
        The running configuration, see `dicom_node.service.running_config`.
    ended
        Set when the process must stop, and when another configuration is in use.
    """

    owner: str
    config: Config
    file: Path
    ended: threading.Event = field(default_factory=threading.Event)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _seen: tuple[int, int] | None = None
    _following: Config | None = None

    def stop(self) -> None:
        """End the last term."""
        self._stopping.set()
        self.ended.set()

    def look(self) -> None:
        """End the term if the running configuration is another one now."""
        try:
            now = self.file.stat()
        except OSError:
            return
        if (stamp := (now.st_ino, now.st_mtime_ns)) == self._seen:
            return
        self._seen = stamp
        try:
            following = running_config.read(self.file)
        except ConfigError as error:
            log.error("the running configuration cannot be read", reason=str(error))
            return
        if following != self.config:
            self._following = following
            self.ended.set()

    def configs(self) -> Iterator[Config]:
        """Give the configuration of each term, one after the other, until the process must stop."""
        present: Config | None = self.config
        while present is not None:
            yield present
            present = self.following()

    def following(self) -> Config | None:
        """Wait until this term ends; the configuration of the next one, or None to stop."""
        self.ended.wait()
        self.ended.clear()
        if self._following is None or self._stopping.is_set():
            self.ended.set()
            return None
        self.config, self._following = self._following, None
        logging.configure(self.config.log, self.owner)
        log.info("works with the new configuration", digest=self.config.digest[:12])
        return self.config
