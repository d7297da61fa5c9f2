"""The PROXY protocol: a TCP balancer announces whose connection it hands on.

Versions 1 and 2 of https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. The announcement
is the balancer's word, so it is read from listed addresses only; they must make it.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING

from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_VERSION_1 = b"PROXY "  # section 2.1
_LONGEST_1 = 107  # bytes with the end of the line
_VERSION_2 = b"\r\n\r\n\0\r\nQUIT\n"  # section 2.2
_LONGEST_2 = 2048  # bytes after the fixed part: addresses, and more about the connection
_LOCAL, _PROXY = 0x20, 0x21  # version and command
_ADDRESS_BYTES = {0x11: 4, 0x21: 16}  # TCP over IPv4, TCP over IPv6


class NotAnnounced(Exception):
    """A listed proxy sent something else; the message says what is wrong."""


class Proxies:
    """The balancers of `node.proxies`.

    Raises
    ------
    ConfigError
        One is not an IP address or network.
    """

    def __init__(self, addresses: Iterable[str]) -> None:
        try:
            self._networks: list[Network] = [
                ipaddress.ip_network(each, strict=False) for each in addresses
            ]
        except ValueError as error:
            raise ConfigError(f"node.proxies: {error}") from error

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        known = ipaddress.ip_address(address.partition("%")[0])
        plain = getattr(known, "ipv4_mapped", None) or known
        return any(plain in network for network in self._networks)


def announced(connection: socket.socket) -> tuple[str, int] | None:
    """Read the announcement, and nothing after it.

    Returns
    -------
    tuple of str and int, or None
        The peer's address and port; None for a connection of the balancer's own (LOCAL, UNKNOWN).

    Raises
    ------
    NotAnnounced
        There is no announcement.
    EOFError
        The balancer closed the connection before it said anything: a health check.
    OSError
        The connection broke, or nothing came in time.
    """
    start = _exactly(connection, len(_VERSION_1), at_start=True)
    if start == _VERSION_1:
        return _version_1(connection)
    if start == _VERSION_2[: len(start)]:
        return _version_2(connection, len(start))
    raise NotAnnounced("no PROXY header from a proxy of node.proxies")


def _version_1(connection: socket.socket) -> tuple[str, int] | None:
    line = b""
    while not line.endswith(b"\r\n"):
        if len(line) + len(_VERSION_1) >= _LONGEST_1:
            raise NotAnnounced("a PROXY line without an end")
        line += _exactly(connection, 1)
    words = line.decode("latin-1").split()
    if words[:1] == ["UNKNOWN"]:
        return None
    if len(words) != 5 or words[0] not in ("TCP4", "TCP6") or not words[3].isdecimal():
        raise NotAnnounced("a PROXY line that is not understood")
    try:
        return str(ipaddress.ip_address(words[1])), int(words[3]) & 0xFFFF
    except ValueError as error:
        raise NotAnnounced("a PROXY line without an address") from error


def _version_2(connection: socket.socket, read: int) -> tuple[str, int] | None:
    rest = _exactly(connection, len(_VERSION_2) - read)
    kind, family, length = struct.unpack(">BBH", _exactly(connection, 4))
    if rest != _VERSION_2[read:] or kind not in (_LOCAL, _PROXY) or length > _LONGEST_2:
        raise NotAnnounced("a PROXY header that is not understood")
    body = _exactly(connection, length)
    size = _ADDRESS_BYTES.get(family)
    if kind == _LOCAL or size is None:
        return None
    if length < 2 * size + 4:
        raise NotAnnounced("a PROXY header without addresses")
    (port,) = struct.unpack_from(">H", body, 2 * size)
    return str(ipaddress.ip_address(body[:size])), port


def _exactly(connection: socket.socket, count: int, *, at_start: bool = False) -> bytes:
    data = b""
    while len(data) < count:
        arrived = connection.recv(count - len(data))
        if not arrived:
            if at_start and not data:
                raise EOFError
            raise NotAnnounced("the connection ended within the PROXY header")
        data += arrived
    return data
