"""Check again whether a destination folder still holds what was written to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.commitment.confirm import Found, Verification
from dicom_node.deliver.outgoing_file import uid
from dicom_node.dicom.files import same_bytes
from dicom_node.domain.commitment import BY_FILE
from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dicom_node.config import FolderDestination
    from dicom_node.domain.commitment import CommitmentQuery


class FolderVerifier:
    """Compares the files in configured folders with the results written to them.

    Parameters
    ----------
    data_dir
        What the results' paths are relative to.
    """

    def __init__(self, destinations: Iterable[FolderDestination], data_dir: Path) -> None:
        self._roots = {destination.name: destination.path for destination in destinations}
        self._data_dir = data_dir

    def ask(self, query: CommitmentQuery) -> Verification:
        """Compare byte by byte; raises PeerUnavailable if the folder cannot be read."""
        root = self._roots[query.destination]
        if not root.is_dir():
            raise PeerUnavailable(f"{root} is not there")
        folder = root / uid(query.study_instance_uid)
        try:
            kept = frozenset(
                result.sop_instance_uid
                for result in (delivery.result for delivery in query.deliveries)
                if same_bytes(
                    self._data_dir / result.path, folder / f"{result.sop_instance_uid}.dcm"
                )
            )
        except OSError as error:
            raise PeerUnavailable(f"cannot read {folder}: {error.strerror}") from error
        reason = "no longer in the folder"
        return Verification(found=Found.LOOKED_UP, reason=reason, kept=kept, by=BY_FILE)
