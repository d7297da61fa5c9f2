"""Check again whether a destination folder still holds what was written to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.commitment.confirm import Found, Verification
from dicom_node.deliver.outgoing_file import content, uid
from dicom_node.dicom.files import opened_folder, same_bytes
from dicom_node.domain.commitment import BY_FILE
from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_node.config import FolderDestination
    from dicom_node.dicom.blobs import Blobs
    from dicom_node.domain.commitment import CommitmentQuery
    from dicom_node.domain.values import Result


class FolderVerifier:
    """Compares the files in configured folders with the results written to them.

    Parameters
    ----------
    blobs
        Where the results are.
    """

    def __init__(self, destinations: Iterable[FolderDestination], blobs: Blobs) -> None:
        self._folders = {destination.name: destination for destination in destinations}
        self._blobs = blobs

    def ask(self, query: CommitmentQuery) -> Verification:
        """Compare byte by byte; raises PeerUnavailable if the folder cannot be read."""
        written = self._folders[query.destination]
        try:
            with opened_folder(written.path) as top:
                kept = self._kept(query, top, uncompressed=written.uncompressed)
        except OSError as error:
            raise PeerUnavailable(f"cannot read {written.path}: {error.strerror}") from error
        reason = "no longer in the folder"
        return Verification(found=Found.LOOKED_UP, reason=reason, kept=kept, by=BY_FILE)

    def _kept(self, query: CommitmentQuery, top: int, *, uncompressed: bool) -> frozenset[str]:
        """Which of the results lie in their study's folder, unchanged."""
        return frozenset(
            each.result.sop_instance_uid
            for each in query.deliveries
            if self._is_kept(each.result, query.study_instance_uid, top, uncompressed=uncompressed)
        )

    def _is_kept(
        self, result: Result, study_instance_uid: str, top: int, *, uncompressed: bool
    ) -> bool:
        study = uid(result.sent_study_instance_uid or study_instance_uid)
        try:
            with (
                opened_folder(study, within=top) as folder,
                self._blobs.local(result.path) as path,
                content(path, uncompressed=uncompressed) as ours,
            ):
                return same_bytes(ours, folder, f"{result.sop_instance_uid}.dcm")
        except (FileNotFoundError, NotADirectoryError):
            return False
