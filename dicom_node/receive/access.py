"""Which peers may open an association: the allow-list and the called AE title."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from dicom_node.errors import ConfigError
from dicom_node.receive.association_request import APPLICATION_CONTEXT, AssociationRequest
from dicom_node.receive.associations import Link, Rejection

if TYPE_CHECKING:
    from dicom_node.config import CallingPeer, NodeConfig


class AccessList:
    """Who may call, as `node.allowed_calling` and `node.require_called` say.

    Raises
    ------
    ConfigError
        An address of the allow-list is not an IP address or network.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._called = config.ae_title if config.require_called else None
        self._allowed = [
            (peer.ae_title, _network(peer), peer.certificate) for peer in config.allowed_calling
        ]

    def rejection(self, request: AssociationRequest, link: Link) -> Rejection | None:
        """Why this association must be rejected; None if it may be accepted."""
        if request.version % 2 == 0:  # bit 0 is the one version there is, PS3.8 9.3.2
            return Rejection.VERSION
        if request.application_context != APPLICATION_CONTEXT:
            return Rejection.APPLICATION
        if not request.called or (self._called is not None and request.called != self._called):
            return Rejection.CALLED
        if not request.calling:
            return Rejection.CALLING
        if self._allowed and not any(
            link.calling == title
            and (network is None or _address(link.address) in network)
            and certificate in (None, link.common_name)
            for title, network, certificate in self._allowed
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
    """Parse a peer's address; one that is mapped into IPv6 becomes IPv4 again."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
