"""Which peers may call: the allow-list and the called AE title."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from dicom_node.errors import ConfigError
from dicom_node.receive.associations import Link, Rejection

if TYPE_CHECKING:
    from dicom_node.config import CallingPeer, NodeConfig


class AccessList:
    """The allow-list of calling peers, and the called title."""

    def __init__(self, config: NodeConfig) -> None:
        self._called = config.ae_title if config.require_called else None
        self._allowed = [(peer.ae_title, _network(peer)) for peer in config.allowed_calling]

    def refuses(self, link: Link) -> Rejection | None:
        """Why this association is not accepted; None where it is."""
        if self._called is not None and link.called != self._called:
            return Rejection.CALLED
        if self._allowed and not any(
            link.calling == title and (network is None or _address(link.address) in network)
            for title, network in self._allowed
        ):
            return Rejection.CALLING
        return None


def _network(peer: CallingPeer) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if peer.address is None:
        return None
    try:
        return ipaddress.ip_network(peer.address, strict=False)
    except ValueError as error:
        raise ConfigError(f"node.allowed_calling: {peer.ae_title}: {error}") from error


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """A peer's address; an IPv4 peer of an IPv6 socket is an IPv4 peer."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
