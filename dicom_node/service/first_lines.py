"""The first lines of the log: which node this is, where results go, who may call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from dicom_node import __version__
from dicom_node.config import DicomDestination, FolderDestination, WebService
from dicom_node.service.alarms import unbound_titles

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.config import Config, Destination

log = structlog.get_logger()


def write_first_lines(config: Config, path: Path | None) -> None:
    """Log version, configuration file, data folder, destinations and who may call."""
    log.info(
        "starting",
        version=__version__,
        config=str(path.absolute()) if path else "defaults",
        data_dir=str(config.node.data_dir.absolute()),
    )
    for each in config.destinations:
        log.info("destination", name=each.name, address=_address(each))
    if not config.destinations:
        log.warning("no destination is configured: results stay in the data folder")
    log.info("who may call", peers=_peers(config), identity=_identity(config))
    if titles := unbound_titles(config):
        log.warning("any certificate may use these titles", titles=", ".join(titles))


def _address(destination: Destination) -> str:
    if isinstance(destination, FolderDestination):
        return f"folder {destination.path}"
    if isinstance(destination, WebService):
        return f"{destination.kind} {destination.url}"
    port = f"{destination.port}, TLS" if destination.tls else str(destination.port)
    name = destination.ae_title if isinstance(destination, DicomDestination) else "HL7"
    return f"{name} at {destination.host}:{port}"


def _peers(config: Config) -> str:
    listed = config.node.allowed_calling
    return ", ".join(f"{each.ae_title} from {each.address or 'anywhere'}" for each in listed) or (
        "any AE title from anywhere"
    )


def _identity(config: Config) -> str:
    """What a caller must show besides its AE title."""
    node, tls = config.node, config.tls
    shown = ["a user identity"] if node.users_file else []
    if tls.port is not None and tls.mutual:
        shown.append("a certificate, over TLS" if config.plain_is_open else "a certificate")
    return ", ".join(shown) or "nothing"
