"""A network between a machine and its database that can go silent, and be cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

_CHUNK = 65536  # bytes


class Relay:
    """Forwards connections to a Unix socket, until it is silenced.

    What was sent meanwhile arrives when it flows again, or never if it is cut.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._flows = threading.Event()
        self._flows.set()
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._listener)
        self.cut()

    def silence(self) -> None:
        """Forward nothing more; connections stay open, and new ones are taken."""
        self._flows.clear()

    def flow(self) -> None:
        """Forward what was held back, and everything from now on."""
        self._flows.set()

    def cut(self) -> None:
        """End every connection, with what was held back; forward the later ones."""
        with self._lock:
            for end in self._ends:
                _end(end)
            self._ends.clear()
        self._flows.set()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(str(self._target))
                except OSError:  # the database is away
                    _end(client)
                    continue
                with self._lock:
                    self._ends += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # the other side has ended, or the connection was cut
            while data := source.recv(_CHUNK):
                self._flows.wait()
                sink.sendall(data)
        self._flows.wait()  # an end does not pass either
        _end(source)
        _end(sink)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
