"""Files that survive a power cut, and their comparison."""

from __future__ import annotations

import filecmp
import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def same_bytes(path: Path, target: Path) -> bool:
    """Whether ``target`` is a file with the bytes of ``path``."""
    return target.is_file() and filecmp.cmp(path, target, shallow=False)


def durable_write(target: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file that is either whole or absent, even after a power cut.

    The bytes go to a hidden file beside the target, which then takes its name. What is at the
    hidden name already, such as the rest of a killed process or a link that was put there, is
    removed and never written through.

    Parameters
    ----------
    target
        Its folder must exist. An older file of this name is replaced.
    write
        Writes the content to the open file.
    """
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        with open(part, "wb", opener=_create) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)  # it is still there only if something failed
    sync_folder(target.parent)


def durable_append(path: Path, line: bytes) -> None:
    """Append to a file and return once the bytes are on the disk."""
    is_new = not path.exists()
    with path.open("ab") as file:
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
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _create(path: str, flags: int) -> int:
    """Create a file; fail if anything has this name, a symbolic link included."""
    return os.open(path, flags | os.O_EXCL | os.O_NOFOLLOW, 0o666)
