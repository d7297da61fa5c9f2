"""A machine of several says every few seconds that it is alive, and waits for older ones to end."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from dicom_node import __version__
from dicom_node.domain.clock import utc_now
from dicom_node.errors import NodeError
from dicom_node.store.members import older_members

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from dicom_node.config import Config
    from dicom_node.store.members import MemberTable, Process

_BEAT_SECONDS = 5.0
_OLDER_SECONDS = 5.0  # between two looks at them

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Heartbeat:
    """The heartbeat of this machine.

    Parameters
    ----------
    member
        Its name.
    """

    member: str
    members: MemberTable
    _due: float = 0.0  # monotonic seconds

    def beat_if_due(self, alive: Sequence[Process]) -> None:
        """Write the heartbeat, a few seconds after the last one; StoreWriteError if it fails."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _BEAT_SECONDS
            self.members.beat(self.member, socket.gethostname(), __version__, alive)

    def end(self) -> None:
        """Take this machine off the list."""
        self.members.beat(self.member, socket.gethostname(), __version__, ())


def await_older_members(config: Config, stop: threading.Event) -> None:
    """Wait until no machine works with an older schema: migrating would take it from under them.

    Raises
    ------
    NodeError
        The database cannot be read, or the node is stopped while it waits.
    """
    if config.member is None:
        return
    while older := older_members(config.node.data_dir, config.store.url, utc_now()):
        names = ", ".join(older)
        log.warning("waiting for machines of an older version to end", members=names)
        if stop.wait(_OLDER_SECONDS):
            raise NodeError(f"stopped while machines of an older version run: {names}")
