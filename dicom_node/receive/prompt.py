"""Let pynetdicom's threads wait for their connection instead of asking a thousand times a second.

pynetdicom reads 4 KiB at a time, sleeps a millisecond whenever there is nothing to do, and leaves
acknowledgements to the kernel, which delays them by 40 ms: a sender that waits for one before it
sends the rest of a message (Nagle's algorithm) is as slow as that. `PromptConnection` replaces all
three for one association. It also copies each fragment of a data set half a dozen times on its way
through the state machine; those within a data set go straight to `Taking` instead.
"""

from __future__ import annotations

import os
import queue
import select
import socket
import ssl
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
_HEADER, _DATA = 6, 4  # bytes before the body of a PDU; type of a P-DATA-TF, PS3.8 9.3.1
_LONGEST = 128 * 2**10  # bytes of a body that is taken; no longer one was asked for

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


class Taking(Protocol):
    """What takes the fragments of a data set."""

    @property
    def amid(self) -> bool:
        """Whether a data set has begun to arrive, and not ended."""

    def take(self, body: memoryview) -> bool:
        """Take the body of a P-DATA-TF (PS3.8 9.3.5.1) that is nothing but a fragment within it.

        False: it is something else, and was not taken.
        """


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
        self._body = memoryview(bytearray(_LONGEST))
        self._ahead = bytearray()  # read already, for pynetdicom
        #: Takes the fragments of data sets; None: pynetdicom does.
        self.data: Taking | None = None
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
        if self._ahead:
            data = self._ahead[:count]
            del self._ahead[:count]
            return data if len(data) == count else data + self.receive(count - len(data))
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
        _acknowledge(connection)
        return data if got == len(data) else data[:got]

    def close(self) -> None:
        """Give the file descriptor back."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._wakes)

    def _next_event(self) -> bool:
        """Read a PDU if one has arrived, else wait for one, or for something to send."""
        if self._take_data() or self._is_event():
            return True
        if self._dul.to_provider_queue.empty() and self._dul.event_queue.empty():
            self._wait()
            return bool(self._is_event())
        return False

    def _take_data(self) -> bool:
        """Take what has arrived of a data set; False if nothing was read.

        What comes then is left to pynetdicom.
        """
        read = False
        try:
            while self._is_amid_data() and self._has_arrived():
                read = True
                if not self._take_pdu():
                    self._dul._read_pdu_data()
                    break
        except OSError:  # as pynetdicom does
            self._dul.event_queue.put("Evt17")  # the connection is closed, PS3.8 9.2.2
        return read

    def _is_amid_data(self) -> bool:
        """Whether a fragment is expected, and nothing else is to be done before."""
        dul = self._dul
        return (
            self.data is not None
            and self.data.amid
            and dul.state_machine.current_state == "Sta6"
            and dul.event_queue.empty()
            and dul.to_provider_queue.empty()
            and not dul._kill_thread
        )

    def _has_arrived(self) -> bool:
        connection = self._dul.socket.socket
        if connection is None:
            return False
        decrypted = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
        return decrypted or bool(select.select([connection], [], [], 0)[0])

    def _take_pdu(self) -> bool:
        """Read a PDU and take it; False if it is left to pynetdicom, perhaps in part."""
        head, got = self.receive(_HEADER), 0
        length = int.from_bytes(head[2:], "big")
        body = self._body[:length]
        if len(head) == _HEADER and head[0] == _DATA and length <= _LONGEST:
            connection = self._dul.socket.socket
            while got < length and (arrived := connection.recv_into(body[got:])):
                got += arrived
            _acknowledge(connection)
            if got == length and self.data is not None and self.data.take(body):
                return True
        self._ahead += head + body[:got]
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


def _acknowledge(connection: socket.socket) -> None:
    """Have the kernel acknowledge at once what was read."""
    with suppress(OSError, AttributeError):  # Linux alone has it
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
