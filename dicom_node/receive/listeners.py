"""The listening sockets: plain DICOM, and DICOM over TLS.

pynetdicom performs the TLS handshake in the thread that accepts connections, where one silent peer
would block all others. Here each handshake has its own thread and deadline.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.receive.contexts import SharedContexts
from dicom_node.receive.silent import Handshakes
from dicom_node.tls.context import ReloadingContext, meaning

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom import AE
    from pynetdicom.events import EventHandlerType

_POLL_SECONDS = 0.1  # how soon the accepting thread notices that it must stop
_BACKLOG = 128  # connections the kernel holds while threads start
_TLS_RECORD = b"\x16"  # how a TLS handshake begins, RFC 8446 5.1
_ASSOCIATE_RQ = b"\x01"  # how plain DICOM begins, PS3.8 9.3.2

#: Called for a failed handshake, with the peer's address and the reason.
OnFailure: TypeAlias = "Callable[[str, str], None]"

log = structlog.get_logger()


class TlsServer(ThreadedAssociationServer):
    """A listener whose connections begin with a TLS handshake."""

    daemon_threads = True  # a handshake in progress does not delay a stop
    block_on_close = False

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.handshakes: Handshakes
        self.on_cut: Callable[[str], None]  # with the address whose connection came too much
        self.tls: ReloadingContext
        self.handshake_seconds = 0.0
        self.on_failure: OnFailure
        self.on_reload: Callable[[str], None]  # with the error in the changed files, or ""

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Perform the handshake, then continue as pynetdicom does."""
        address = str(client_address[0])
        if self.handshakes.add(request, address):
            self.on_cut(address)
        wrapped = self._handshake(request, address)
        if wrapped is not None:
            super().process_request_thread(wrapped, client_address)

    def _handshake(self, connection: socket.socket, address: str) -> socket.socket | None:
        context, trouble = self.tls.current()
        reason, wrapped = "", None
        if trouble is not None:
            self.on_reload(trouble)
        try:
            connection.settimeout(self.handshake_seconds)
            first = connection.recv(1, socket.MSG_PEEK)
            if first == _TLS_RECORD:
                wrapped = context.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
                self.handshakes.wrapped(connection, wrapped)
                wrapped.do_handshake()
                self.handshakes.remove(connection)
                return wrapped
            if first == _ASSOCIATE_RQ:
                reason = "the peer speaks plain DICOM to the TLS port"
            elif first:
                reason = "the peer does not speak TLS"
        except OSError as error:
            reason = meaning(error)
        if self.handshakes.remove(connection) and reason:
            self.on_failure(address, reason)
        with suppress(OSError):
            (wrapped or connection).close()
        return None


def listen(
    ae: AE,
    address: tuple[str, int],
    handlers: list[EventHandlerType],
    kind: type[ThreadedAssociationServer] = ThreadedAssociationServer,
) -> ThreadedAssociationServer:
    """Bind a port, as `AE.start_server` does; call `accept` to take connections."""
    server: ThreadedAssociationServer = ae.make_server(
        address, evt_handlers=handlers, server_class=kind
    )
    server.contexts = SharedContexts(server.contexts)
    ae._servers.append(server)  # its shutdown removes it from there
    if server.socket is not None:
        server.socket.listen(_BACKLOG)
    return server


def accept(server: ThreadedAssociationServer) -> None:
    """Accept connections in a thread, which stops within a tenth of a second."""
    threading.Thread(
        target=server.serve_forever, args=(_POLL_SECONDS,), name="accept", daemon=True
    ).start()
