"""Syslog over TLS: RFC 5424 messages in RFC 5425 frames, as PS3.15 A.6 requires."""

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
    """Send the frames over a new connection; return why that failed, or None.

    Syslog has no answers. The connection is therefore closed with TLS close_notify, and the frames
    count as sent only once the other side, having read them, has closed it too.
    """
    try:
        with (
            socket.create_connection((to.host, to.port), timeout=seconds) as plain,
            client_context(tls).wrap_socket(
                plain, server_hostname=to.tls_name or to.host
            ) as secure,
        ):
            secure.sendall(b"".join(frames))
            _close(secure)
    except OSError as error:  # ssl.SSLError is one
        if isinstance(error, ssl.SSLError):
            return meaning(error)
        return error.strerror or type(error).__name__
    return None


def _close(secure: ssl.SSLSocket) -> None:
    try:
        secure.unwrap()
    except ssl.SSLEOFError:
        return  # it closed the connection without close_notify, after ours
