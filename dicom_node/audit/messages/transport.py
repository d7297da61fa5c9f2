"""Syslog over TLS: RFC 5424 messages in RFC 5425 frames, as PS3.15 A.6 wants them sent."""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING

from dicom_node.tls.context import client_context, meaning

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dicom_node.config import RepositoryConfig, TlsConfig

_PRIORITY = 10 * 8 + 5  # facility security/authorization, severity notice; PS3.15 A.6
_UTF8 = "\ufeff".encode()
_APPLICATION = "dicom-node"


def frame(at: datetime, host: str, content: bytes) -> bytes:
    """Put an audit message into a syslog message, preceded by its length in octets."""
    who = f"{host or '-'} {_APPLICATION} {os.getpid()}"
    head = f"<{_PRIORITY}>1 {at.isoformat()} {who} DICOM+RFC3881 - "
    message = head.encode("ascii", "replace") + _UTF8 + content
    return b"%d %s" % (len(message), message)


def send(
    frames: Sequence[bytes], to: RepositoryConfig, tls: TlsConfig, seconds: float
) -> str | None:
    """Send the frames over a connection of their own; why that failed, or None.

    Syslog has no answers. So the connection is ended with TLS's own farewell, and only when the
    other side has ended it too, having read what came before, do the frames count as sent.
    """
    try:
        with (
            socket.create_connection((to.host, to.port), timeout=seconds) as plain,
            client_context(tls).wrap_socket(
                plain, server_hostname=to.tls_name or to.host
            ) as secure,
        ):
            secure.sendall(b"".join(frames))
            _farewell(secure)
    except OSError as error:  # ssl.SSLError is one
        return meaning(error) if isinstance(error, ssl.SSLError) else type(error).__name__
    return None


def _farewell(secure: ssl.SSLSocket) -> None:
    try:
        secure.unwrap()
    except ssl.SSLEOFError:
        return  # it hung up without a farewell of its own, after ours
