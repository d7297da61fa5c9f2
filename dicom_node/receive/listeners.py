"""The listening sockets: plain DICOM, and DICOM over TLS.

pynetdicom shakes hands over TLS in the thread that accepts: one peer that connects and says nothing
would keep everybody out. Here each handshake has a thread and a deadline of its own.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.tls.context import ReloadingContext, meaning

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom import AE
    from pynetdicom.events import EventHandlerType

MOST_HANDSHAKES = 256  # at a time; each costs a thread
_POLL_SECONDS = 0.1  # how soon the accepting thread notices that it should stop
_BACKLOG = 128  # connections the kernel holds while threads start
_TLS_RECORD = b"\x16"  # how a TLS handshake begins, RFC 8446 5.1
_ASSOCIATE_RQ = b"\x01"  # how plain DICOM begins, PS3.8 9.3.2

#: What is told of a connection that became none: the peer's address and the reason.
Told: TypeAlias = "Callable[[str, str], None]"

log = structlog.get_logger()


class TlsServer(ThreadedAssociationServer):
    """A listener whose peers shake hands over TLS first."""

    daemon_threads = True  # a handshake under way holds nobody up who wants to stop
    block_on_close = False

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._places = threading.BoundedSemaphore(MOST_HANDSHAKES)
        self.tls: ReloadingContext
        self.handshake_seconds = 0.0
        self.told: Told
        self.reloaded: Callable[[str], None]  # with what is wrong with the files, or nothing

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands, then go on as pynetdicom does."""
        if not self._places.acquire(blocking=False):
            log.warning("too many TLS handshakes, cut", address=client_address[0])
            self.shutdown_request(request)
            return
        try:
            wrapped = self._shake_hands(request, str(client_address[0]))
        finally:
            self._places.release()
        if wrapped is not None:
            super().process_request_thread(wrapped, client_address)

    def _shake_hands(self, connection: socket.socket, address: str) -> socket.socket | None:
        context, trouble = self.tls.current()
        if trouble is not None:
            self.reloaded(trouble)
        try:
            connection.settimeout(self.handshake_seconds)
            first = connection.recv(1, socket.MSG_PEEK)
            if first == _TLS_RECORD:
                return context.wrap_socket(connection, server_side=True)
            if first == _ASSOCIATE_RQ:
                self.told(address, "the peer speaks plain DICOM to the TLS port")
            elif first:
                self.told(address, "the peer does not speak TLS")
        except OSError as error:
            self.told(address, meaning(error))
        with suppress(OSError):
            connection.close()
        return None


def listen(
    ae: AE,
    address: tuple[str, int],
    handlers: list[EventHandlerType],
    kind: type[ThreadedAssociationServer] = ThreadedAssociationServer,
) -> ThreadedAssociationServer:
    """Bind a port, as `AE.start_server` does; `accept` then lets peers in."""
    server: ThreadedAssociationServer = ae.make_server(
        address, evt_handlers=handlers, server_class=kind
    )
    ae._servers.append(server)  # its shutdown looks for itself there
    if server.socket is not None:
        server.socket.listen(_BACKLOG)
    return server


def accept(server: ThreadedAssociationServer) -> None:
    """Accept in the background; unlike pynetdicom's own, it stops within a tenth of a second."""
    threading.Thread(
        target=server.serve_forever, args=(_POLL_SECONDS,), name="accept", daemon=True
    ).start()
