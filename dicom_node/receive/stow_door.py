"""Where the web process hands STOW-RS requests to the receiver: a socket in the node's folder.

Only the receiver writes to the spool, so every door has the same locks, limits and records. A
connection is one request: a header, then pieces of the body, the last one empty; then the answer.
Each is preceded by its length in four bytes. Header and answer are JSON.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import struct
import sys
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from dicom_node.audit.best_effort import record_or_log
from dicom_node.log import where
from dicom_node.receive.associations import Link, Links
from dicom_node.receive.stow import BUSY, BadRequest, StowRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dicom_node.config import Config
    from dicom_node.receive.keeping import Keeping

LARGEST_PIECE = 1 << 20  # bytes
LENGTH = struct.Struct(">I")
_NAME = "stow.socket"

log = structlog.get_logger()


@contextmanager
def address_of(run_dir: Path) -> Iterator[str]:
    """A path to the socket that is short enough to bind or connect, however deep the folder is."""
    folder = os.open(run_dir, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{_NAME}"
    finally:
        os.close(folder)


class StowDoor:
    """Answers the requests that the web process hands over, each in a thread.

    Parameters
    ----------
    keeping
        The receiver's.
    """

    def __init__(self, config: Config, keeping: Keeping) -> None:
        self._config = config
        self._keeping = keeping
        self._links = Links()
        self._path = config.run_dir / _NAME
        self._server: socketserver.ThreadingUnixStreamServer | None = None

    def start(self) -> None:
        """Listen; only the node's user can call."""
        self._path.unlink(missing_ok=True)
        with address_of(self._config.run_dir) as address:
            self._server = _Server(address, partial(_Handler, self._serve, self._config))
        self._path.chmod(0o600)
        threading.Thread(target=self._server.serve_forever, name="stow", daemon=True).start()

    def stop(self) -> None:
        """Take no more requests; those under way end with their connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._path.unlink(missing_ok=True)

    def _serve(self, connection: socket.socket) -> None:
        asked = json.loads(_read(connection))
        link = Link(
            address=asked["address"], calling=asked["user"],
            called=self._config.node.ae_title, service="STOW-RS",
        )  # fmt: skip
        self._links.add(link, link)
        try:
            status, said = self._answer(connection, asked, link)
        finally:
            self._links.remove(link)
            link.ending = link.ending or "lost"
            if link.recorded:
                record_or_log(self._keeping.audit, link.closing_event())
        answer = json.dumps({"status": status, "body": said}).encode()
        connection.sendall(LENGTH.pack(len(answer)) + answer)

    def _answer(
        self, connection: socket.socket, asked: dict[str, Any], link: Link
    ) -> tuple[int, object]:
        """Take the whole body, whatever is wrong with it; then answer."""
        pieces, request = _pieces(connection), None
        try:
            self._admit(link)
            request = StowRequest(self._keeping, link, asked["content_type"], asked["study"])
            for piece in pieces:
                request.write(piece)
            link.ending = "released"
            return request.answer()
        except BadRequest as error:
            for _ in pieces:
                pass
            return error.status, str(error)
        finally:
            if request is not None:
                request.discard()

    def _admit(self, link: Link) -> None:
        node, address_share = self._config.node, self._config.quotas.address_associations
        most, share = node.max_associations, node.max_associations_per_peer
        if self._links.admit(link, most, share, address_share) is not None:
            raise BadRequest(BUSY, "too many requests at a time")


class _Handler(socketserver.BaseRequestHandler):
    """One request."""

    def __init__(
        self, serve: Callable[[socket.socket], None], config: Config, *of_the_server: Any
    ) -> None:
        self._serve, self._seconds = serve, config.node.network_timeout_seconds
        super().__init__(*of_the_server)

    def handle(self) -> None:
        self.request.settimeout(self._seconds)
        with suppress(OSError, EOFError):  # the web process or its client has gone
            self._serve(self.request)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exception()
        log.error("STOW-RS request failed", error=where(error) if error else "")


def _pieces(connection: socket.socket) -> Iterator[bytes]:
    while piece := _read(connection):
        yield piece


def _read(connection: socket.socket) -> bytes:
    """Read a length and so many bytes; raises EOFError if the other side has gone."""
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    if length > LARGEST_PIECE:
        raise EOFError
    return _exactly(connection, length)


def _exactly(connection: socket.socket, length: int) -> bytes:
    read = bytearray()
    while len(read) < length:
        part = connection.recv(length - len(read))
        if not part:
            raise EOFError
        read += part
    return bytes(read)
