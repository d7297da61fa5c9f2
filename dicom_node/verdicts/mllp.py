"""A listener for HL7 messages by MLLP (HL7 v2 transport specification), plain or by TLS."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from hl7 import mllp

from dicom_node.domain.clock import utc_now

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from dicom_node.config import MllpConfig
    from dicom_node.tls.context import ReloadingContext
    from dicom_node.verdicts.acknowledge import Answer

_POLL_SECONDS = 0.2
_HANDSHAKE_SECONDS = 10.0
_DRAIN_SECONDS = 5.0  # that messages get to be answered when the listener stops
_ANSWER_SECONDS = 30.0  # that a sender gets to take an answer

log = structlog.get_logger()


class MllpListener:
    """Answers messages, one after the other on each connection, until it is stopped.

    Parameters
    ----------
    take
        Makes verdicts of a message; called in a thread.
    turned_away
        Called with an address and a reason, for a connection that was closed by the node.
    tls
        The node's certificate; None: plain.
    """

    def __init__(
        self,
        config: MllpConfig,
        take: Callable[[bytes], Answer],
        turned_away: Callable[[str, str], None],
        tls: ReloadingContext | None = None,
    ) -> None:
        self._config = config
        self._take = take
        self._turned_away = turned_away
        self._tls = tls
        self._open: set[asyncio.Task[None]] = set()
        self._busy = 0  # messages that are being taken
        self.ready = threading.Event()  # set once the port is open

    def run(self, stop: threading.Event) -> None:
        """Listen until ``stop`` is set; raises OSError if the port cannot be opened."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            context = self._tls.current()[0] if self._tls else None
            server = await mllp.start_hl7_server(
                self._connected, self._config.host, self._config.port,
                limit=self._config.max_message_kb * 2**10, ssl=context,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS if context else None,
            )  # fmt: skip
            log.info("listening for HL7", host=self._config.host, port=self._config.port)
            self.ready.set()
            while not stop.is_set() and not self._has_new_certificate(context):
                await asyncio.sleep(_POLL_SECONDS)
            server.close()
        await self._drain()

    def _has_new_certificate(self, used: ssl.SSLContext | None) -> bool:
        return self._tls is not None and self._tls.current()[0] is not used

    async def _drain(self) -> None:
        waited = 0.0
        while self._busy and waited < _DRAIN_SECONDS:
            await asyncio.sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: mllp.HL7StreamReader, writer: mllp.HL7StreamWriter) -> None:
        """Talk with one sender; the library runs this as a task of its own."""
        task = asyncio.current_task()
        address = str((writer.get_extra_info("peername") or ("",))[0])
        reason = ""
        try:
            if not self._config.admits(address):
                reason = "address not allowed"
            elif len(self._open) >= self._config.max_connections:
                reason = "too many connections"
            elif task is not None:
                self._open.add(task)
                reason = await self._converse(reader, writer)
        except asyncio.CancelledError:
            reason = ""
        finally:
            self._open.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), _POLL_SECONDS)
        if reason:
            self._turned_away(address, reason)

    async def _converse(self, reader: mllp.HL7StreamReader, writer: mllp.HL7StreamWriter) -> str:
        """Answer messages until the sender leaves; why the node ends it, or empty."""
        while True:
            try:
                async with asyncio.timeout(self._config.silent_seconds):
                    block = await reader.readblock()
            except TimeoutError:
                return "silent"
            except asyncio.IncompleteReadError as error:
                return "message cut off" if error.partial.strip() else ""
            except mllp.InvalidBlockError:
                return "not MLLP"
            except ValueError:
                return "message too large"
            except OSError:
                return ""
            self._busy += 1
            try:
                answer = await asyncio.to_thread(self._take, block)
                writer.writeblock(answer.encoded(utc_now()))
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await writer.drain()
            except (OSError, TimeoutError):
                return "answer not taken"
            finally:
                self._busy -= 1
