"""TLS to a destination: pynetdicom's arguments for it, and why a handshake fails."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_node.errors import ConfigError, PeerUnavailable
from dicom_node.tls.context import client_context, meaning

if TYPE_CHECKING:
    import ssl

    from dicom_node.config import DicomDestination, Hl7Destination, TlsConfig
    from dicom_node.tls.certificates import CertificateInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What a TLS handshake with a peer agreed on."""

    version: str
    cipher: str
    certificate: CertificateInfo  # the peer's


def tls_args(
    destination: DicomDestination | Hl7Destination, tls: TlsConfig
) -> tuple[ssl.SSLContext, str] | None:
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


def handshake(
    destination: DicomDestination | Hl7Destination, tls: TlsConfig, seconds: float
) -> Handshake | None:
    """Make a TLS connection and describe it; None for a plain destination.

    Raises
    ------
    PeerUnavailable
        There is no connection, or the handshake fails.
    """
    from dicom_node.tls.certificates import described

    args = tls_args(destination, tls)
    if args is None:
        return None
    context, name = args
    address = (destination.host, destination.port)
    try:
        with (
            socket.create_connection(address, timeout=seconds) as plain,
            context.wrap_socket(plain, server_hostname=name) as wrapped,
        ):
            cipher, der = wrapped.cipher(), wrapped.getpeercert(binary_form=True)
            version = wrapped.version()
    except OSError as error:
        raise PeerUnavailable(meaning(error)) from error
    return Handshake(
        version=version or "",
        cipher=cipher[0] if cipher else "",
        certificate=described(der or b"", "peer"),
    )
