"""Let pynetdicom's threads wait for their connection instead of asking a thousand times a second.

pynetdicom reads 4 KiB at a time, sleeps a millisecond whenever there is nothing to do, and leaves
acknowledgements to the kernel, which delays them by 40 ms: a sender that waits for one before it
sends the rest of a message (Nagle's algorithm) is as slow as that. `PromptConnection` replaces all
three for one association.
"""

from __future__ import annotations

import os
import queue
import select
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom.association import Association

#: Seconds that either thread waits for something to do; a timer may run out this much late.
WAIT_SECONDS = 0.05
_FIRST = 256 * 2**10  # bytes that a PDU may claim before any of them has arrived
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


class Waking(Protocol):
    """What wakes the thread that handles an association's messages."""

    news: threading.Event

    def close(self) -> None:
        """Free what it holds."""


class PromptConnection:
    """The socket of an association, and what wakes the two threads that serve it.

    Create it before the threads run, close it after they have ended.
    """

    def __init__(self, assoc: Association) -> None:
        dul = self._dul = cast("Any", assoc.dul)
        self._lock = threading.Lock()
        self._wakes = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._open = True
        #: Set when the association's thread has something to do.
        self.news = threading.Event()
        dul.to_provider_queue = WakingQueue(self._wake_upper_layer)
        dul.to_user_queue = WakingQueue(self.news.set)
        dul._run_loop_delay = _BETWEEN
        self._is_event, dul._is_transport_event = dul._is_transport_event, self._next_event

    def receive(self, count: int) -> bytearray:
        """Read this many bytes, fewer if the peer closes the connection.

        Raises
        ------
        OSError
            If the connection breaks, or nothing arrives within its timeout.
        """
        connection = self._dul.socket.socket
        data, got = bytearray(min(count, _FIRST)), 0
        while got < count:
            if got == len(data):
                data.extend(bytes(min(count, 2 * got) - got))
            with memoryview(data) as view:
                arrived = connection.recv_into(view[got:])
            if not arrived:
                break
            got += arrived
        with suppress(OSError, AttributeError):  # Linux alone has it
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data if got == len(data) else data[:got]

    def close(self) -> None:
        """Give the file descriptor back."""
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
        with suppress(OSError):
            os.eventfd_read(self._wakes)

    def _wake_upper_layer(self) -> None:
        with self._lock:
            if self._open:
                os.eventfd_write(self._wakes, 1)
