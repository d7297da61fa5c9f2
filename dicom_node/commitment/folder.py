"""Check again whether a destination folder still holds what was written to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.commitment.confirm import Answer, Found
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
    """Looks again whether configured folders hold what was put there.

    Parameters
    ----------
    data_dir
        What the results' paths are relative to.
    """

    def __init__(self, destinations: Iterable[FolderDestination], data_dir: Path) -> None:
        self._roots = {destination.name: destination.path for destination in destinations}
        self._data_dir = data_dir

    def ask(self, inquiry: CommitmentQuery) -> Answer:
        """Compare byte by byte; raises PeerUnavailable where the folder is away."""
        root = self._roots[inquiry.destination]
        if not root.is_dir():
            raise PeerUnavailable(f"{root} is not there")
        folder = root / uid(inquiry.study_instance_uid)
        try:
            kept = frozenset(
                result.sop_instance_uid
                for result in (delivery.result for delivery in inquiry.deliveries)
                if same_bytes(
                    self._data_dir / result.path, folder / f"{result.sop_instance_uid}.dcm"
                )
            )
        except OSError as error:
            raise PeerUnavailable(f"cannot read {folder}: {error.strerror}") from error
        reason = "not in the folder any more"
        return Answer(found=Found.LOOKED_UP, reason=reason, kept=kept, by=BY_FILE)
