"""A folder into which another system writes HL7 messages; taken ones leave it."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from dicom_node.verdicts.hl7_message import Fault, split_messages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_node.ports import Clock
    from dicom_node.verdicts.intake import Intake

REFUSED = "refused"  # folder for files that a person must look at
LARGEST_FILE = 64 * 2**20  # bytes
_MOST_MESSAGES = 10_000  # in a file
_STILL_SECONDS = 2.0  # a file that changed since is perhaps still being written
_AT_ONCE = 500  # files a round

log = structlog.get_logger()


class MessageFolder:
    """Takes the files of a folder: stored ones are deleted, others move to its folder `refused`.

    Files whose names begin with a dot or end with ``.tmp`` or ``.part`` are being written.
    """

    def __init__(self, folder: Path, intake: Intake, clock: Clock) -> None:
        self._folder = folder
        self._intake = intake
        self._clock = clock
        self._failed = False  # the folder could not be read

    def step(self) -> int:
        """Take the files that lie there; how many."""
        taken, trouble = 0, None
        try:
            for path in self._due():
                try:
                    self._take(path)
                    taken += 1
                except OSError as error:  # the other files do not wait for this one
                    trouble = error
        except OSError as error:
            trouble = error
        if trouble is not None and not self._failed:
            log.error("folder of verdicts cannot be used", reason=trouble.strerror)
        self._failed = trouble is not None
        return taken

    def _due(self) -> Iterator[Path]:
        before = self._clock().timestamp() - _STILL_SECONDS
        due = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.endswith((".tmp", ".part")):
                    continue
                seen = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(seen.st_mode) and seen.st_mtime <= before:
                    due.append((seen.st_mtime, entry.name))
        for _, name in sorted(due)[:_AT_ONCE]:
            yield self._folder / name

    def _take(self, path: Path) -> None:
        messages = split_messages(_content(path)) or [b""]  # which is counted as unreadable
        faults = [self._intake.take(each).fault for each in messages]
        if Fault.INTERNAL in faults:  # the database cannot be written: again in the next round
            return
        if any(faults):
            self._refuse(path)
        else:
            path.unlink()

    def _refuse(self, path: Path) -> None:
        refused = self._folder / REFUSED
        refused.mkdir(exist_ok=True, mode=0o700)
        if refused.is_symlink():  # of another user of the folder: no report leaves it
            raise OSError(errno.ELOOP, f"{refused} is a symbolic link", str(refused))
        with suppress(FileNotFoundError):
            path.rename(refused / path.name)


def _content(path: Path) -> bytes:
    """What the file holds, nothing if it is too much; raises OSError if it is no file any more.

    Other users may write to the folder: what was a file a moment ago may be a link or a pipe now.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        content = file.read(LARGEST_FILE + 1)
    too_much = len(content) > LARGEST_FILE or content.count(b"MSH") > _MOST_MESSAGES
    return b"" if too_much else content
