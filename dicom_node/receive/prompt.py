"""Let pynetdicom's threads wait for their connection instead of asking a thousand times a second.

pynetdicom reads 4 KiB at a time, sleeps a millisecond whenever there is nothing to do, and leaves
acknowledgements to the kernel, which delays them by 40 ms: a sender that waits for one before it
sends the rest of a message (Nagle's algorithm) is as slow as that. `PromptConnection` replaces all
three for one association. It also copies each fragment of a data set half a dozen times on its way
through the state machine; those within a data set go straight to `Taking` instead.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, cast

from dicom_node.receive.waiting import WaitingUpperLayer, WakingQueue

if TYPE_CHECKING:
    from pynetdicom.association import Association

_FIRST = 256 * 2**10  # bytes that a PDU may claim before any of them has arrived
_HEADER, _DATA = 6, 4  # bytes before the body of a PDU; type of a P-DATA-TF, PS3.8 9.3.1
_LONGEST = 128 * 2**10  # bytes of a body that is taken; no longer one was asked for
_AT_ONCE = 64  # PDUs that are taken before pynetdicom restarts its timers


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


class PromptConnection(WaitingUpperLayer):
    """The socket of an association, and what wakes the two threads that serve it.

    Create it before the threads run, close it after they have ended.
    """

    def __init__(self, assoc: Association) -> None:
        dul = cast("Any", assoc.dul)
        super().__init__(dul)
        self._body = memoryview(bytearray(_LONGEST))
        self._ahead = bytearray()  # read already, for pynetdicom
        #: Takes the fragments of data sets; None: pynetdicom does.
        self.data: Taking | None = None
        #: Set when the association's thread has something to do.
        self.news = threading.Event()
        dul.to_user_queue = WakingQueue(self.news.set)

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

    def _next_event(self) -> bool:
        """Take what has arrived of a data set, or else a PDU, or wait."""
        return self._take_data() or super()._next_event()

    def _take_data(self) -> bool:
        """Take what has arrived of a data set; False if nothing was read.

        What comes then is left to pynetdicom.
        """
        read = False
        try:
            for _ in range(_AT_ONCE):
                if not (self._is_amid_data() and self._has_arrived()):
                    break
                read = True
                if not self._take_pdu():
                    self._dul._read_pdu_data()
                    break
        except (OSError, ValueError):  # as pynetdicom does, also with a socket that was closed
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


def _acknowledge(connection: socket.socket) -> None:
    """Have the kernel acknowledge at once what was read."""
    with suppress(OSError, AttributeError):  # Linux alone has it
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
