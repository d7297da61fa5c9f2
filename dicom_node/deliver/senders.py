"""One `Sender` for every configured destination, whatever its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from dicom_node.config import DicomDestination, FolderDestination, TlsConfig, WebDestination
from dicom_node.deliver.folder import FolderSender
from dicom_node.deliver.scu import StoreSender

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dicom_node.config import Destination
    from dicom_node.deliver.status import Answer, EchoResult
    from dicom_node.deliver.stow import StowSender
    from dicom_node.ports import Watch

    _Kind: TypeAlias = StoreSender | FolderSender | StowSender


class Senders:
    """Sends files to configured destinations by the way of their kind.

    Parameters
    ----------
    ae_title
        Ours, the calling one.
    destinations
        Whom `send` and `echo` can name.
    timeout_seconds
        For connecting, and for each answer.
    tls
        Our certificate and whom we trust, for destinations over TLS.
    """

    def __init__(
        self,
        ae_title: str,
        destinations: Iterable[Destination],
        timeout_seconds: float,
        tls: TlsConfig = TlsConfig(),  # noqa: B008 - frozen
    ) -> None:
        destinations = tuple(destinations)
        peers = [each for each in destinations if isinstance(each, DicomDestination)]
        folders = [each for each in destinations if isinstance(each, FolderDestination)]
        services = [each for each in destinations if isinstance(each, WebDestination)]
        self._store = StoreSender(ae_title, peers, timeout_seconds, tls=tls)
        folder_sender = FolderSender(folders)
        self._others: dict[str, _Kind] = {each.name: folder_sender for each in folders}
        if services:
            from dicom_node.deliver.stow import StowSender  # half a second nobody else must wait

            stow = StowSender(services, timeout_seconds)
            self._others |= {each.name: stow for each in services}

    def send(
        self, destination: str, paths: Sequence[Path], watch: Watch | None = None
    ) -> list[Answer]:
        """Send the files; the answers are in their order, as `StoreSender.send` gives them."""
        return self._way(destination).send(destination, paths, watch)

    def echo(self, destination: str) -> EchoResult:
        """Ask the destination whether it is there."""
        return self._way(destination).echo(destination)

    def _way(self, destination: str) -> _Kind:
        return self._others.get(destination, self._store)  # which says that it knows no such name
