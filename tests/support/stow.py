"""A little DICOMweb service on loopback: it stores, refuses single objects, breaks on command."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from pydicom import dcmread

#: What a `Stow` does with one request instead of storing: an HTTP status; or a dict of tag -> value
#: that goes into the object's item of the answer, (0008,1197) Failure Reason or (0008,1196) Warning
#: Reason; or bytes to answer as they are.
Act = int | dict[str, int] | bytes | None

FAILURE, WARNING = "00081197", "00081196"


class Stow:
    """STOW-RS and QIDO-RS enough for a sender.

    Parameters
    ----------
    acts
        One for each request in turn; after the last, objects are stored.
    delay_seconds
        Before each answer.
    media_type
        Of the answers.
    """

    def __init__(
        self,
        acts: Iterable[Act] = (),
        *,
        delay_seconds: float = 0.0,
        media_type: str = "application/dicom+json",
    ) -> None:
        self.acts: deque[Act] = deque(acts)
        self.delay_seconds = delay_seconds
        self.media_type = media_type
        self.stored: dict[str, bytes] = {}  # SOP Instance UID -> file
        self.listed: list[dict[str, Any]] = []  # DICOM JSON, the answer to each search
        self.requests: list[tuple[str, str, Message]] = []  # method, path, headers
        self.awake = threading.Event()
        service = self

        class Handler(_Handler):
            stow = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/dicom-web"

    def __enter__(self) -> Stow:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.awake.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    stow: Stow
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name upstairs
        """Say nothing."""

    def do_GET(self) -> None:
        self._begin()
        act = self.stow.acts.popleft() if self.stow.acts else None
        said = act if isinstance(act, bytes) else json.dumps(self.stow.listed).encode()
        self._answer(act if isinstance(act, int) else 200, said)

    def do_POST(self) -> None:
        self._begin()
        body = self._body()
        act = self.stow.acts.popleft() if self.stow.acts else None
        if self.stow.delay_seconds:
            self.stow.awake.wait(self.stow.delay_seconds)
        if act == 0:
            self.close_connection = True  # hangs up without an answer
        elif isinstance(act, int):
            self._answer(act, b"")
        elif isinstance(act, bytes):
            self._answer(200, act)
        else:
            self._store(self._part(body), act or {})

    def _begin(self) -> None:
        self.stow.requests.append((self.command, self.path, self.headers))

    def _store(self, file: bytes, fate: dict[str, int]) -> None:
        ds = dcmread(BytesIO(file))
        item: dict[str, Any] = {
            "00081150": {"vr": "UI", "Value": [ds.SOPClassUID]},
            "00081155": {"vr": "UI", "Value": [ds.SOPInstanceUID]},
            **{tag: {"vr": "US", "Value": [value]} for tag, value in fate.items()},
        }
        failed = FAILURE in fate
        if not failed:
            self.stow.stored[ds.SOPInstanceUID] = file
        said = {"00081198" if failed else "00081199": {"vr": "SQ", "Value": [item]}}
        self._answer(409 if failed else 202 if fate else 200, json.dumps(said).encode())

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Type", self.stow.media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _part(self, body: bytes) -> bytes:
        """The one part of a multipart/related body."""
        boundary = self.headers.get_boundary()
        return body.split(b"\r\n\r\n", 1)[1].rsplit(f"\r\n--{boundary}--".encode(), 1)[0]
