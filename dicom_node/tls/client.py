"""TLS to a destination: pynetdicom's arguments for it, and why a handshake fails."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from dicom_node.errors import ConfigError, PeerUnavailable
from dicom_node.tls.context import client_context, meaning

if TYPE_CHECKING:
    import ssl

    from dicom_node.config import DicomDestination, TlsConfig


def tls_args(destination: DicomDestination, tls: TlsConfig) -> tuple[ssl.SSLContext, str] | None:
    """The context and the expected name of the peer; None for a plain destination.

    The files are read each time, so that a new certificate needs no restart.

    Raises
    ------
    PeerUnavailable
        The files cannot be used now; delivery is tried again later.
    """
    if not destination.tls:
        return None
    try:
        return client_context(tls), destination.tls_name or destination.host
    except ConfigError as error:
        raise PeerUnavailable(str(error)) from error


def trouble(destination: DicomDestination, tls: TlsConfig, seconds: float) -> str | None:
    """Repeat the handshake and return what goes wrong; None if it succeeds.

    In TLS 1.3 a peer refuses our certificate only after the handshake, so its next record is read.
    """
    args = tls_args(destination, tls)
    if args is None:
        return None
    context, name = args
    with socket.create_connection((destination.host, destination.port), timeout=seconds) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name) as wrapped:
                wrapped.recv(1)
        except TimeoutError:
            return None
        except OSError as error:
            return meaning(error)
    return None
