"""Write results to a folder as ``StudyInstanceUID/SOPInstanceUID.dcm``.

A file is there whole or not at all, even after a power cut. Writing it again changes nothing.
The folder may be shared with other programs: no link in it is followed, and a result may be read
by the users who may read the folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from pydicom import dcmread

from dicom_node.deliver.outgoing_file import OutgoingFile, content, outgoing_file_of, uid
from dicom_node.deliver.status import EchoResult, unavailable, unreadable
from dicom_node.dicom.files import durable_write_in, opened_folder, same_bytes
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.domain.values import Answer, SendOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from pathlib import Path

    from dicom_node.config import FolderDestination

_STORED = 0x0000


class FolderSender:
    """Writes files to configured folders.

    A missing folder is not created: it is most likely a mount that is away, and files written
    below its mount point would fill the wrong disk.
    """

    def __init__(self, destinations: Iterable[FolderDestination]) -> None:
        self._folders = {destination.name: destination for destination in destinations}

    def send(
        self,
        destination: str,
        paths: Sequence[Path],
        before_each: Callable[[], None] = lambda: None,
    ) -> Generator[Answer, None, None]:
        """Write the files into the folder, one for each answer that is taken."""
        for path in paths:
            before_each()
            yield _put(path, self._folders[destination])

    def echo(self, destination: str) -> EchoResult:
        """Test whether a file can be written to the folder."""
        started, root = time.monotonic(), self._folders[destination].path
        try:
            with tempfile.TemporaryFile(dir=root):
                ok, reason = True, f"{root} can be written to"
        except OSError as error:
            ok, reason = False, _cannot_write(root, error)
        return EchoResult(ok=ok, status=None, reason=reason, seconds=time.monotonic() - started)


def _put(path: Path, to: FolderDestination) -> Answer:
    file = outgoing_file_of(path)
    if not isinstance(file, OutgoingFile):
        return file
    try:
        ds = dcmread(path, specific_tags=["SOPInstanceUID", "StudyInstanceUID"])
        study, name = uid(ds.StudyInstanceUID), f"{uid(ds.SOPInstanceUID)}.dcm"
    except MALFORMED:
        return unreadable(f"{path.name} has no UIDs to name a file with")
    except OSError as error:
        return unavailable(f"cannot read {path.name}: {error.strerror}")
    try:
        with content(path, uncompressed=to.uncompressed) as ours:
            _write(ours, to.path, study, name)
    except (RuntimeError, *MALFORMED):
        return unreadable(f"{path.name} cannot be decoded")
    except OSError as error:
        return unavailable(_cannot_write(to.path, error))
    return Answer(SendOutcome.ANSWERED, _STORED, "stored")


def _write(ours: BinaryIO, root: Path, study: str, name: str) -> None:
    """Copy the bytes, unless the study's folder has it already with the same bytes."""
    with opened_folder(root) as top:
        made = _make_folder(study, top)
        readable = os.fstat(top).st_mode & 0o777
        with opened_folder(study, within=top) as folder:
            if made:
                os.fchmod(folder, readable | 0o700)
            if same_bytes(ours, folder, name):
                return
            ours.seek(0)
            copy = partial(shutil.copyfileobj, ours)
            durable_write_in(folder, name, copy, mode=readable & 0o644 | 0o600)
        os.fsync(top)


def _make_folder(name: str, within: int) -> bool:
    try:
        os.mkdir(name, dir_fd=within)
    except FileExistsError:
        return False
    return True


def _cannot_write(root: Path, error: OSError) -> str:
    return f"cannot write to {root}: {error.strerror or type(error).__name__}"
