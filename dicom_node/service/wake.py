"""A process wakes another one that waits for work, so that no work waits for a poll.

Each kind of waiter has one named pipe in the data folder; a process that made work writes a byte
to it. Waiters on other machines hear of it from PostgreSQL (NOTIFY). What is not heard costs one
polling interval and nothing else: the queue is in the database.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import structlog

from dicom_node.store import libpq
from dicom_node.store.plain import SQLITE

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

_END_SECONDS = 0.25  # how late the end may be noticed
_DRAINED = 65536  # bytes: all that a pipe holds

log = structlog.get_logger()


class Bell:
    """One kind of waiter, such as the workers.

    Parameters
    ----------
    data_dir
        The processes that share it reach each other by a pipe in it.
    name
        Of the waiters.
    others
        What is announced by processes of other machines; None if there are none.
    """

    def __init__(
        self, data_dir: Path, name: str, others: libpq.Announcements | None = None
    ) -> None:
        self._path = data_dir / f"{name}.wake"
        self._others = others
        self._pipe: int | None = None

    def ring(self) -> None:
        """Wake the waiters, if there are any; never blocks and never fails."""
        with suppress(OSError):  # no waiter, no pipe yet, or one that is full of earlier rings
            pipe = self._open(os.O_WRONLY)
            try:
                os.write(pipe, b"\0")
            finally:
                os.close(pipe)

    def listen(self) -> None:
        """Hear rings from now on; without a pipe, `wait` waits for its whole time."""
        try:
            with suppress(FileExistsError):
                os.mkfifo(self._path, 0o600)
            # Open for writing, too: without a writer the pipe would be at its end all the time.
            self._pipe = self._open(os.O_RDWR)
        except OSError as error:
            log.warning("no pipe to be woken by; polling", path=str(self._path), error=str(error))

    def _open(self, how: int) -> int:
        """Open the pipe; anything else in its place would ring all the time."""
        pipe = os.open(self._path, how | os.O_NONBLOCK | os.O_NOFOLLOW)
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            os.close(pipe)
            raise OSError(errno.EINVAL, "not a named pipe")
        return pipe

    def wait(self, seconds: float) -> bool:
        """Wait until it rings, or for this time; whether it rang, now or since the last wait."""
        others = None if self._others is None else self._others.descriptor()
        heard = [each for each in (self._pipe, others) if each is not None]
        rung = select.select(heard, [], [], seconds)[0]
        if self._pipe is not None and self._pipe in rung:
            with suppress(BlockingIOError):  # another waiter was faster
                os.read(self._pipe, _DRAINED)
        if self._others is not None and others in rung:
            self._others.take()
        return bool(rung)

    def answer(self, ended: Event, action: Callable[[], object]) -> None:
        """Listen, and do something at each ring, until an event is set."""
        self.listen()
        while not ended.is_set():
            if self.wait(_END_SECONDS):
                action()
        self.close()

    def close(self) -> None:
        """Hear nothing more."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        if self._others is not None:
            self._others.close()


@dataclass(frozen=True, slots=True)
class Bells:
    """What is waited for."""

    readings: Bell  # by the workers
    deliveries: Bell  # by the deliverer

    @classmethod
    def of(cls, data_dir: Path, url: str = SQLITE) -> Self:
        """The bells of a node whose ``store.url`` is given."""
        channels = {"readings": libpq.READINGS, "deliveries": libpq.DELIVERIES}
        return cls(
            **{
                name: Bell(
                    data_dir, name, None if url == SQLITE else libpq.Announcements(url, channel)
                )
                for name, channel in channels.items()
            }
        )
