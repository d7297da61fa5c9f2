"""An HTTP connection that is cut if its request comes, or its answer is read, too slowly."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio


class PromptConnection(H11Protocol):
    """uvicorn's connection with a deadline for each exchange, and a limit of their number.

    uvicorn itself waits without end for the first request: sockets that say nothing, or a byte a
    minute, would take every descriptor of the process.
    """

    #: From the connection, or from the last answer, to the end of the next one.
    seconds: ClassVar[float] = 60.0
    #: Open connections; of more, the oldest is cut.
    most: ClassVar[int] = 256

    _late: asyncio.TimerHandle
    _since: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the first exchange."""
        super().connection_made(transport)
        self._begin()
        if len(self.connections) > self.most:
            ours = [each for each in self.connections if isinstance(each, PromptConnection)]
            min(ours, key=lambda each: each._since).cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._late.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin the next exchange."""
        self._late.cancel()
        self._begin()
        super().on_response_complete()

    def cut(self) -> None:
        """Close the connection at once, whatever is still to be sent."""
        self.transport.abort()

    def _begin(self) -> None:
        self._since = self.loop.time()
        self._late = self.loop.call_later(self.seconds, self.cut)
