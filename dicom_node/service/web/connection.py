"""An HTTP connection that is cut if its request comes, or its answer is read, too slowly."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes; a slower request is cut.
A_SECOND = 128 * 1024


class PromptConnection(H11Protocol):
    """uvicorn's connection with a deadline for each exchange, and a limit of their number.

    uvicorn itself waits without end for the first request: sockets that say nothing, or a byte a
    minute, would take every descriptor of the process.
    """

    #: From the connection, or from the last answer, to the end of the next one; and a second more
    #: for each `A_SECOND` bytes of a request.
    seconds: ClassVar[float] = 60.0
    #: Open connections; of more, one is cut: of the address that has most of them, one without a
    #: request before one with, and the oldest of these.
    most: ClassVar[int] = 256

    _late: asyncio.TimerHandle
    _since: float
    _received: int

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the first exchange."""
        super().connection_made(transport)
        self._begin()
        if len(self.connections) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Give a large request more time while it comes."""
        self._received += len(data)
        self._late.cancel()
        allowed = self.seconds + self._received / A_SECOND
        self._late = self.loop.call_at(self._since + allowed, self.cut)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._late.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin the next exchange."""
        self._late.cancel()
        self._begin()
        super().on_response_complete()

    def _make_room(self) -> None:
        ours = [each for each in self.connections if isinstance(each, PromptConnection)]
        crowd = Counter(each._address for each in ours)
        min(ours, key=lambda each: (-crowd[each._address], not each._is_waiting, each._since)).cut()

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    @property
    def _is_waiting(self) -> bool:
        # uvicorn types the cycle as always there
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    def cut(self) -> None:
        """Close the connection at once, whatever is still to be sent."""
        self.transport.abort()

    def _begin(self) -> None:
        self._since, self._received = self.loop.time(), 0
        self._late = self.loop.call_later(self.seconds, self.cut)


class PromptSettings(uvicorn.Config):
    """uvicorn's settings, with limits for TLS handshakes: a connection begins after its own."""

    #: A handshake takes some milliseconds.
    handshake_seconds: ClassVar[float] = 10.0

    def get_loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop]:
        """The loop that uvicorn runs in."""
        connection: Any = self.http
        return partial(_Loop, min(self.handshake_seconds, connection.seconds), connection.most)


@dataclass(frozen=True, slots=True)
class _Handshake:
    """A connection from its first byte on; uvicorn knows it only after the handshake."""

    socket: socket.socket
    address: str
    connection: H11Protocol

    @property
    def is_open(self) -> bool:
        begun: Any = self.connection.transport  # uvicorn types it as always there
        return begun is None and self.socket.fileno() >= 0

    def end(self) -> None:
        with suppress(OSError):  # the peer was faster
            self.socket.shutdown(socket.SHUT_RDWR)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, handshake_seconds: float, most: int) -> None:
        super().__init__()
        self._handshake_seconds, self._most = handshake_seconds, most
        self._handshakes: list[_Handshake] = []  # the oldest first

    async def create_server(self, *args: Any, **more: Any) -> asyncio.Server:
        if more.get("ssl") is not None:
            more["ssl_handshake_timeout"] = self._handshake_seconds
        return await super().create_server(*args, **more)

    def _make_ssl_transport(self, rawsock: socket.socket, *args: Any, **more: Any) -> Any:
        """Accept a connection: of too many handshakes, the oldest of the busiest address ends.

        asyncio has no public hook between a connection and the end of its handshake.
        """
        pending = [each for each in self._handshakes if each.is_open]
        if len(pending) >= self._most:
            crowd = Counter(each.address for each in pending)
            victim = max(pending, key=lambda each: crowd[each.address])
            victim.end()
            pending.remove(victim)
        address = more["extra"]["peername"][0]
        self._handshakes = [*pending, _Handshake(rawsock, address, args[0])]
        return super()._make_ssl_transport(rawsock, *args, **more)  # type: ignore[misc]
