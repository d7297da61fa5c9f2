"""Where commitment reports are sent, and which peers may send them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from dicom_node.config import DicomDestination

if TYPE_CHECKING:
    from dicom_node.config import Config
    from dicom_node.receive.associations import Link


def report_address(config: Config, ae_title: str) -> DicomDestination | None:
    """The destination with this AE title, else the allowed peer with a port; None if neither."""
    for destination in config.destinations:
        if isinstance(destination, DicomDestination) and destination.ae_title == ae_title:
            return destination
    for peer in config.node.allowed_calling:
        if peer.ae_title == ae_title and peer.address is not None and peer.port is not None:
            return DicomDestination(
                name="requester", ae_title=ae_title, host=peer.address, port=peer.port
            )
    return None


def is_destination(config: Config, name: str, link: Link) -> bool:
    """Whether the peer of an association is the PACS that is configured under this name.

    Its AE title must be the destination's, and `node.allowed_calling` must bind the title to an
    address or a certificate; else the peer must call from an address of the destination's host, or
    show a certificate with the destination's name.
    """
    for each in config.destinations:
        if each.name != name or not isinstance(each, DicomDestination):
            continue
        if each.ae_title != link.calling:
            return False
        # An association is accepted only as its entry of the allow-list says.
        entries = [peer for peer in config.node.allowed_calling if peer.ae_title == link.calling]
        if entries and all(peer.address or peer.certificate for peer in entries):
            return True
        names = (each.tls_name or each.host, each.host)
        return link.common_name in names or _plain(link.address) in _addresses(each.host)
    return False


def _addresses(host: str) -> set[str]:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return set()
    return {_plain(str(address[0])) for *_, address in found}


def _plain(address: str) -> str:
    """An address without its zone; one that is mapped into IPv6 becomes IPv4 again."""
    return address.partition("%")[0].removeprefix("::ffff:")
