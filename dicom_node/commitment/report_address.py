"""Where to send a commitment report: the node opens an association to the requesting peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.config import DicomDestination

if TYPE_CHECKING:
    from dicom_node.config import Config


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
