"""An HL7 receiver on loopback: the server of python-hl7, in a thread."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

import hl7
from hl7.mllp import start_hl7_server

#: What is answered instead of AA: a code of table 0008 and an error code of table 0357 or "";
#: bytes as they are; or None, which answers nothing.
Act = tuple[str, str] | bytes | None


class Mllp:
    """Parses each message and acknowledges it.

    Parameters
    ----------
    acts
        One for each message in turn; after the last, messages are accepted.
    context
        TLS of the server; None: plain.
    """

    def __init__(self, acts: Iterable[Act] = (), context: ssl.SSLContext | None = None) -> None:
        self.acts = deque(acts)
        self.messages: list[hl7.Message] = []
        self.port = 0
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Mllp:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def fields(self, name: str, at: int = -1) -> list[list[str]]:
        """The fields of each segment of this name in a message, as text."""
        return [[str(field) for field in each] for each in self.messages[at].segments(name)]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await start_hl7_server(
            self._answer, "127.0.0.1", 0, encoding="utf-8", ssl=self._context
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        # asyncio never closes a connection that it took just before the server ends.
        await asyncio.sleep(0.05)
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _answer(self, reader: Any, writer: Any) -> None:
        try:
            while True:
                message = await reader.readmessage()
                self.messages.append(message)
                act: Act = self.acts.popleft() if self.acts else ("AA", "")
                if act is None:
                    await self._stop.wait()
                elif isinstance(act, bytes):
                    writer.write(act)
                else:
                    writer.writemessage(_acknowledgement(message, *act))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def _acknowledgement(message: hl7.Message, code: str, fault: str) -> hl7.Message:
    answer = message.create_ack(code)
    if fault:
        text = f"ERR|||{fault}^A fault^HL70357|E|||PHANTOM^CHEST is unknown"
        answer.append(hl7.parse(f"{str(answer).splitlines()[0]}\r{text}\r").segment("ERR"))
    return answer
