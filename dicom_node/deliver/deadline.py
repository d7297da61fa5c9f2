"""A deadline for a whole exchange: at its end the connection is shut down.

A socket's time-out bounds each wait for a byte. A peer that drips one now and then, in a TLS
handshake, in its headers or in a PDU, would hold the exchange for as long as it likes.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Deadline:
    """Shuts its connections down when an exchange takes too long."""

    def __init__(self) -> None:
        self.expired = False
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []

    def watch(self, connection: socket.socket) -> None:
        """Watch a connection, even after TLS takes over its file descriptor."""
        with self._lock, suppress(OSError):  # it is closed already
            # Not `dup`, which a TLS socket does not have
            self._watched.append(socket.socket(fileno=os.dup(connection.fileno())))
        if self.expired:
            self._expire()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Shut the connections down if the block takes longer."""
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def close(self) -> None:
        """Stop watching."""
        with self._lock:
            for connection in self._watched:
                connection.close()
            self._watched.clear()

    def _expire(self) -> None:
        self.expired = True
        with self._lock:
            for connection in self._watched:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
