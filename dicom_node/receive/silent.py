"""Connections in a TLS handshake: how many there may be, and which one goes for the next."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

SHARE = 4  # one address may have a quarter of the places


class Handshakes:
    """The connections whose handshake is not finished; safe to use from all threads.

    Parameters
    ----------
    limit
        Connections at a time. When it is reached, the oldest one is cut for the next; when one
        address has a quarter of them, the oldest one of this address.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        # Connection -> its address, and the socket that has its file descriptor now; oldest first
        self._open: dict[socket.socket, tuple[str, socket.socket]] = {}

    def add(self, connection: socket.socket, address: str) -> bool:
        """Add a connection; return whether another one was cut for it."""
        with self._lock:
            same = [each for each, (known, _) in self._open.items() if known == address]
            oldest = None
            if len(same) >= max(1, self._limit // SHARE):
                oldest = same[0]
            elif len(self._open) >= self._limit:
                oldest = next(iter(self._open))
            if oldest is not None:
                _, current = self._open.pop(oldest)
                with suppress(OSError):  # of the plain socket: TLS would wait for the peer
                    socket.socket.shutdown(current, socket.SHUT_RDWR)
            self._open[connection] = address, connection
        return oldest is not None

    def wrapped(self, connection: socket.socket, wrapper: socket.socket) -> None:
        """Note the TLS socket that has taken over the connection's file descriptor."""
        with self._lock:
            if connection in self._open:
                self._open[connection] = self._open[connection][0], wrapper

    def remove(self, connection: socket.socket) -> bool:
        """Remove a connection; return False if it was cut."""
        with self._lock:
            return self._open.pop(connection, None) is not None
