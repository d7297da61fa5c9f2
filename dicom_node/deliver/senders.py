"""One `Sender` for destinations of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from dicom_node.config import (
    DicomDestination,
    FhirDestination,
    FolderDestination,
    Hl7Destination,
    TlsConfig,
    WebDestination,
)
from dicom_node.deliver.folder import FolderSender
from dicom_node.deliver.scu import StoreSender

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from pathlib import Path

    from dicom_node.config import Destination
    from dicom_node.deliver.duplicate import Duplicates
    from dicom_node.deliver.messages.fhir import FhirSender
    from dicom_node.deliver.messages.hl7 import Hl7Sender
    from dicom_node.deliver.status import EchoResult
    from dicom_node.deliver.stow import StowSender
    from dicom_node.domain.values import Answer

    _Kind: TypeAlias = StoreSender | FolderSender | StowSender | Hl7Sender | FhirSender


class Senders:
    """Sends files to each configured destination by the sender for its kind.

    Parameters
    ----------
    ae_title
        Ours, the calling one.
    destinations
        What `send` and `echo` can name.
    timeout_seconds
        For connecting, and for each answer.
    tls
        Our certificate and the trusted authorities, for destinations over TLS.
    duplicates
        Compares what a destination says it has already; None: it is believed.
    """

    def __init__(
        self,
        ae_title: str,
        destinations: Iterable[Destination],
        timeout_seconds: float,
        tls: TlsConfig = TlsConfig(),  # noqa: B008 - frozen
        duplicates: Duplicates | None = None,
    ) -> None:
        destinations = tuple(destinations)
        peers = [each for each in destinations if isinstance(each, DicomDestination)]
        folders = [each for each in destinations if isinstance(each, FolderDestination)]
        services = [each for each in destinations if isinstance(each, WebDestination)]
        messages = [each for each in destinations if isinstance(each, Hl7Destination)]
        servers = [each for each in destinations if isinstance(each, FhirDestination)]
        self._store = StoreSender(ae_title, peers, timeout_seconds, tls=tls, duplicates=duplicates)
        folder_sender = FolderSender(folders)
        self._others: dict[str, _Kind] = {each.name: folder_sender for each in folders}
        if services:
            from dicom_node.deliver.stow import StowSender  # takes half a second to import

            stow = StowSender(services, timeout_seconds, duplicates)
            self._others |= {each.name: stow for each in services}
        if messages:
            from dicom_node.deliver.messages.hl7 import Hl7Sender

            hl7 = Hl7Sender(messages, timeout_seconds, tls)
            self._others |= {each.name: hl7 for each in messages}
        if servers:
            from dicom_node.deliver.messages.fhir import FhirSender

            fhir = FhirSender(servers, timeout_seconds)
            self._others |= {each.name: fhir for each in servers}

    def send(
        self,
        destination: str,
        paths: Sequence[Path],
        before_each: Callable[[], None] = lambda: None,
    ) -> Generator[Answer, None, None]:
        """Send the files; see `dicom_node.ports.Sender`."""
        return self._sender_for(destination).send(destination, paths, before_each)

    def echo(self, destination: str) -> EchoResult:
        """Test the connection to the destination."""
        return self._sender_for(destination).echo(destination)

    def _sender_for(self, destination: str) -> _Kind:
        return self._others.get(destination, self._store)  # refuses unknown names
