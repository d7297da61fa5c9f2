"""Let the thread of pynetdicom's upper layer wait, instead of looking a thousand times a second."""

from __future__ import annotations

import os
import queue
import select
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a thread waits for something to do; a timer may run out this much late.
WAIT_SECONDS = 0.05
_CLOSED_SECONDS = 0.002
_BETWEEN = 0.0001  # seconds that pynetdicom sleeps once it has something to do

_Item = TypeVar("_Item")


class WakingQueue(queue.Queue[_Item]):
    """A queue that calls ``wake`` after each item that is put into it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def put(self, item: _Item, block: bool = True, timeout: float | None = None) -> None:
        """Put an item into the queue, then wake the thread that waits for it."""
        super().put(item, block, timeout)
        self._wake()


class WaitingUpperLayer:
    """What the thread waits for: its connection, and what is to be sent.

    Create it before the thread runs.

    Parameters
    ----------
    dul
        `pynetdicom.dul.DULServiceProvider`.
    """

    def __init__(self, dul: Any) -> None:
        self._dul = dul
        self._lock = threading.Lock()
        self._wakes = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._open = True
        dul.to_provider_queue = WakingQueue(self._wake)
        dul._run_loop_delay = _BETWEEN
        self._is_event, dul._is_transport_event = dul._is_transport_event, self._next_event

    def close(self) -> None:
        """Give the file descriptor back; a thread that still runs does no harm."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._wakes)

    def _next_event(self) -> bool:
        """Read a PDU if one has arrived, else wait for one, or for something to send."""
        if self._is_event():
            return True
        if self._dul.to_provider_queue.empty() and self._dul.event_queue.empty():
            self._wait()
            return bool(self._is_event())
        return False

    def _wait(self) -> None:
        poll, seconds = select.poll(), WAIT_SECONDS
        poll.register(self._wakes, select.POLLIN)
        try:
            poll.register(self._dul.socket.socket, select.POLLIN)
        except (OSError, ValueError, TypeError, AttributeError):
            seconds = _CLOSED_SECONDS  # the connection is closed, and the threads are about to end
        poll.poll(1000 * seconds)
        with self._lock, suppress(OSError):
            if self._open:  # else its number may be another file's by now
                os.eventfd_read(self._wakes)

    def _wake(self) -> None:
        with self._lock:
            if self._open:
                os.eventfd_write(self._wakes, 1)
