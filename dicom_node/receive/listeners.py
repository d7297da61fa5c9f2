"""The listening sockets: plain DICOM, and DICOM over TLS.

pynetdicom performs the TLS handshake in the thread that accepts connections, where one silent peer
would block all others. Here each handshake has its own thread and deadline.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import structlog
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.domain.audit import AuditKind
from dicom_node.receive.contexts import SharedContexts
from dicom_node.receive.proxy import NotAnnounced, Proxies, announced
from dicom_node.receive.silent import Handshakes
from dicom_node.tls.context import ReloadingContext, meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pynetdicom import AE
    from pynetdicom.events import EventHandlerType

    from dicom_node.receive.per_minute import PerMinute

_POLL_SECONDS = 0.1  # how soon the accepting thread notices that it must stop
_BACKLOG = 128  # connections the kernel holds while threads start
_TLS_RECORD = b"\x16"  # how a TLS handshake begins, RFC 8446 5.1
_ASSOCIATE_RQ = b"\x01"  # how plain DICOM begins, PS3.8 9.3.2

#: Called for a failed handshake, with the peer's address and the reason.
OnFailure: TypeAlias = "Callable[[str, str], None]"

log = structlog.get_logger()


class Behind:
    """What stands before a listener: the proxies that announce peers, and how long they may take.

    Parameters
    ----------
    proxies
        Their addresses, `node.proxies`.
    seconds
        Until an announcement or a TLS handshake must be finished.
    floods
        Records a listed proxy that announces nothing.
    """

    def __init__(self, proxies: Iterable[str], seconds: float, floods: PerMinute) -> None:
        self.proxies = Proxies(proxies)
        self.seconds = seconds
        self._floods = floods

    def peer(self, connection: socket.socket, proxy: Any) -> Any:
        """The address of the peer behind a proxy; None if the connection was closed."""
        try:
            connection.settimeout(self.seconds)
            peer = announced(connection)
            connection.settimeout(None)
        except NotAnnounced as error:
            detail: dict[str, object] = {
                "address": str(proxy[0]), "reason": "malformed", "error": str(error)
            }  # fmt: skip
            kind = AuditKind.ASSOCIATION_REJECTED
            self._floods.record(kind, "not understood, connection closed", detail)
        except (OSError, EOFError):
            log.debug("a proxy's connection ended before it began", address=str(proxy[0]))
        else:
            return peer or proxy
        with suppress(OSError):
            connection.close()
        return None


class PlainServer(ThreadedAssociationServer):
    """A listener; a connection of a listed proxy begins with the address of the peer behind it."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.behind: Behind

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Read the proxy's announcement and secure the connection; continue as pynetdicom does."""
        if str(client_address[0]) in self.behind.proxies:
            client_address = self.behind.peer(request, client_address)
        if client_address is not None:
            connection = self.secured(request, str(client_address[0]))
            if connection is not None:
                super().process_request_thread(connection, client_address)

    def secured(self, connection: socket.socket, _address: str) -> socket.socket | None:
        """Return the connection to continue with; None if it was closed."""
        return connection


class TlsServer(PlainServer):
    """A listener whose connections begin with a TLS handshake."""

    daemon_threads = True  # a handshake in progress does not delay a stop
    block_on_close = False

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.handshakes: Handshakes
        self.on_cut: Callable[[str], None]  # with the address whose connection came too much
        self.tls: ReloadingContext
        self.on_failure: OnFailure
        self.on_reload: Callable[[str], None]  # with the error in the changed files, or ""

    def secured(self, connection: socket.socket, address: str) -> socket.socket | None:
        """Perform the handshake."""
        if self.handshakes.add(connection, address):
            self.on_cut(address)
        return self._handshake(connection, address)

    def _handshake(self, connection: socket.socket, address: str) -> socket.socket | None:
        context, trouble = self.tls.current()
        reason, wrapped = "", None
        if trouble is not None:
            self.on_reload(trouble)
        try:
            connection.settimeout(self.behind.seconds)
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
    behind: Behind,
    kind: type[PlainServer] = PlainServer,
) -> PlainServer:
    """Bind a port, as `AE.start_server` does; call `accept` to take connections."""
    made = ae.make_server(address, evt_handlers=handlers, server_class=kind)
    server = cast("PlainServer", made)
    server.behind = behind
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
