"""Files that survive a power cut, and their comparison."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_BLOCK = 1 << 20  # bytes compared at a time
_PREFIX = b"DICM\2\0\0\0UL"  # at byte 128; FileMetaInformationGroupLength is the first element
_META_LENGTH = slice(140, 144)  # bytes of its value


@contextmanager
def opened_folder(path: Path | str, *, within: int | None = None) -> Iterator[int]:
    """Open a folder, so that what is done in it cannot be led elsewhere by a link.

    Parameters
    ----------
    path
        The folder. With ``within`` it is a name there and must not be a symbolic link.
    within
        The descriptor of an open folder.
    """
    no_link = 0 if within is None else os.O_NOFOLLOW
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | no_link, dir_fd=within)
    try:
        yield handle
    finally:
        os.close(handle)


def same_bytes(ours: BinaryIO, folder: int, name: str) -> bool:
    """Whether ``name`` in an open folder is a file, and no link, with the bytes of ``ours``."""
    try:
        # A named pipe would keep the opener waiting.
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as kept:
        found, size = os.fstat(handle), ours.seek(0, os.SEEK_END)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return False
        ours.seek(0)
        while block := ours.read(_BLOCK):
            if kept.read(len(block)) != block:
                return False
        return True


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_set_sha256(path: Path) -> str:
    """The SHA-256, hex, of what follows the File Meta Information (PS3.10 7.1).

    Reception records it of each data set that it keeps. Of a file that is none of ours, it is that
    of the whole file.
    """
    with path.open("rb") as file:
        start = file.read(_META_LENGTH.stop)
        is_ours = start[128:138] == _PREFIX and len(start) == _META_LENGTH.stop
        length = int.from_bytes(start[_META_LENGTH], "little")
        file.seek(_META_LENGTH.stop + length if is_ours else 0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def durable_write(target: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file that is either whole or absent, even after a power cut.

    Parameters
    ----------
    target
        Its folder must exist. An older file of this name is replaced.
    write
        Writes the content to the open file.
    """
    with opened_folder(target.parent) as folder:
        durable_write_in(folder, target.name, write)


def durable_write_in(
    folder: int, name: str, write: Callable[[BinaryIO], object], mode: int | None = None
) -> None:
    """Write a file into an open folder that others may write to, too.

    The bytes go to a new hidden file with a random name, which then takes the final name. What a
    killed process left of an earlier attempt is removed.

    Parameters
    ----------
    folder
        Descriptor of the folder.
    name
        The file's name; an older file or link of this name is replaced, not written through.
    write
        Writes the content to the open file.
    mode
        The file's permissions; None leaves them to the umask.
    """
    for each in os.listdir(folder):
        if each.startswith(f".{name}.") and each.endswith(".part"):
            with suppress(OSError):  # another process was faster
                os.unlink(each, dir_fd=folder)
    part = f".{name}.{secrets.token_hex(8)}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    handle = os.open(part, flags, 0o666, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            if mode is not None:
                os.fchmod(handle, mode)
            write(file)
            file.flush()
            os.fsync(handle)
        os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with suppress(FileNotFoundError):  # it is still there only if something failed
            os.unlink(part, dir_fd=folder)
    os.fsync(folder)


def durable_append(path: Path, line: bytes) -> None:
    """Append to a file, never through a link, and return once the bytes are on the disk."""
    is_new = not path.exists()
    with open(path, "ab", opener=_no_link) as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_folder(path.parent)


def durable_rename(path: Path, target: Path) -> None:
    """Move a file whose bytes are on the disk already, and make its new name durable."""
    path.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries survive a power cut."""
    with opened_folder(folder) as handle:
        os.fsync(handle)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
