"""A syslog server over TLS (RFC 5425) that keeps what it receives."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from xml.etree import ElementTree as ET

from dicom_node.config import TlsConfig
from dicom_node.tls.context import server_context


class SyslogServer:
    """Takes one connection after the other; ``heard`` has what came by those that ended well."""

    def __init__(self, tls: TlsConfig, port: int = 0) -> None:
        self._context = server_context(tls)
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self.breaks = 0  # how many of the next connections are broken off before the end
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    @property
    def messages(self) -> list[ET.Element]:
        """The audit messages in them."""
        return [ET.fromstring(each.split(b"\xef\xbb\xbf", 1)[1]) for each in self.heard]  # noqa: S314 - our own

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError), plain:
                plain.settimeout(5)
                with self._context.wrap_socket(plain, server_side=True) as secure:
                    self._take(secure)

    def _take(self, secure: ssl.SSLSocket) -> None:
        if self.breaks:
            self.breaks -= 1
            secure.recv(1)
            return  # closed with bytes unread: the other side is reset
        whole = b""
        while part := secure.recv(65536):
            whole += part
        while whole:
            length, _, rest = whole.partition(b" ")
            self.heard.append(rest[: int(length)])
            whole = rest[int(length) :]
        with suppress(OSError):
            secure.unwrap()  # only now the other side knows
