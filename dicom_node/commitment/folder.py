"""Check again whether a destination folder still holds what was written to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.commitment.confirm import Found, Verification
from dicom_node.deliver.outgoing_file import uid
from dicom_node.dicom.files import opened_folder, same_bytes
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
        try:
            with opened_folder(root) as top:
                kept = self._kept(query, top)
        except OSError as error:
            raise PeerUnavailable(f"cannot read {root}: {error.strerror}") from error
        reason = "no longer in the folder"
        return Verification(found=Found.LOOKED_UP, reason=reason, kept=kept, by=BY_FILE)

    def _kept(self, query: CommitmentQuery, top: int) -> frozenset[str]:
        """Which of the results lie in the study's folder, unchanged."""
        results = [delivery.result for delivery in query.deliveries]
        try:
            with opened_folder(uid(query.study_instance_uid), within=top) as folder:
                return frozenset(
                    each.sop_instance_uid
                    for each in results
                    if same_bytes(
                        self._data_dir / each.path, folder, f"{each.sop_instance_uid}.dcm"
                    )
                )
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()
