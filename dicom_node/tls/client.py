"""TLS to a destination: what pynetdicom needs for it, and why a handshake fails."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from dicom_node.errors import ConfigError, PeerUnavailable
from dicom_node.tls.context import client_context, meaning

if TYPE_CHECKING:
    import ssl

    from dicom_node.config import DicomDestination, TlsConfig


def tls_args(destination: DicomDestination, tls: TlsConfig) -> tuple[ssl.SSLContext, str] | None:
    """The context and the name in the peer's certificate; None for a plain destination.

    The files are read each time, so that a new certificate needs no restart. Raises
    PeerUnavailable where they cannot be used: the same object may pass once they are mended.
    """
    if not destination.tls:
        return None
    try:
        return client_context(tls), destination.tls_name or destination.host
    except ConfigError as error:
        raise PeerUnavailable(str(error)) from error


def trouble(destination: DicomDestination, tls: TlsConfig, seconds: float) -> str | None:
    """Shake hands once more and say what goes wrong; None where nothing does.

    In TLS 1.3 a peer refuses our certificate only after the handshake, so its next words are
    waited for.
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
