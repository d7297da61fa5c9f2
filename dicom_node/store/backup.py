"""A backup of the data folder while the node runs, and its verification.

The database is copied first, by SQLite's own backup, and the files afterwards: each row of the copy
then has its files, unless its study was removed meanwhile.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node.dicom.files import data_set_sha256
from dicom_node.errors import NodeError
from dicom_node.store.files import BESIDES
from dicom_node.store.integrity import damage
from dicom_node.store.plain import DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What is copied besides the database, below the data folder.
COPIED = ("spool/instances", "results", *BESIDES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup holds, and what is wrong with it."""

    folder: Path
    files: int
    bytes: int
    removed: int  # files of studies that were removed while the copy was made
    faults: tuple[str, ...]


def back_up(data_dir: Path, folder: Path) -> Backup:
    """Copy the data folder into an empty or new folder, and verify the copy.

    Raises
    ------
    NodeError
        There is no database, the folder is not empty, or it cannot be written.
    """
    if not (data_dir / DATABASE).is_file():
        raise NodeError(f"no node has run over {data_dir} yet")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise NodeError(f"{folder} is not empty: give each backup a folder of its own")
        _copy_database(data_dir / DATABASE, folder / DATABASE)
        for name in COPIED:
            _copy(data_dir / name, folder / name)
    except (OSError, shutil.Error, sqlite3.Error) as error:
        raise NodeError(f"the backup to {folder} failed: {error}") from error
    return _verify(data_dir, folder)


def _copy_database(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file; the node sets WAL again


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a folder; what is removed meanwhile is left out."""
    if source.is_file():
        shutil.copy2(source, target)
    elif source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for path in source.iterdir():
            try:
                _copy(path, target / path.name)
            except FileNotFoundError:
                continue


def _verify(data_dir: Path, folder: Path) -> Backup:
    """Check the copied database, and each file that it names."""
    faults = list(damage(folder, thorough=True))
    files = size = removed = 0
    for path, sha256 in _named(folder / DATABASE) if not faults else ():
        copy = folder / path
        if not copy.is_file():
            if (data_dir / path).is_file():
                faults.append(f"{path} was not copied")
            else:
                removed += 1
            continue
        files, size = files + 1, size + copy.stat().st_size
        if sha256 and data_set_sha256(copy) != sha256:
            faults.append(f"{path} differs from what was received")
    return Backup(folder=folder, files=files, bytes=size, removed=removed, faults=tuple(faults))


def _named(database: Path) -> Iterator[tuple[str, str | None]]:
    """The files that the rows name, with the digest of those that were received."""
    query = "SELECT path, sha256 FROM instances UNION ALL SELECT path, NULL FROM results"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as copy:
        yield from copy.execute(query)
