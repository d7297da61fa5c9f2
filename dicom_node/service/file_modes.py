"""Owner and modes of the node's files: made private at start, checked by `doctor files`."""

from __future__ import annotations

import os
import stat
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node.config import WebService

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.config import Config

_OTHERS, _OTHERS_WRITE = 0o077, 0o022
_ROOT = 0


def make_private(data_dir: Path) -> None:
    """Close the data folder, and what lies directly in it, to other users.

    An older version may have made it open. Nothing deeper can be reached through closed folders.

    Raises
    ------
    OSError
        It belongs to another user.
    """
    for path in (data_dir, *data_dir.iterdir()):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & _OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)


def faults(config: Config, config_path: Path | None) -> list[str]:
    """Say in sentences which files other users may read or change.

    The data folder must be private to its owner; equal faults below it are counted. Keys and
    secrets may be read by that owner (or by a group, if root owns them), the configuration may be
    read by all. Only that owner or root may change them, or the folders that they lie in.
    """
    data_dir = config.node.data_dir
    if not data_dir.is_dir():
        return [f"{data_dir}: there is no such folder"]
    owner = data_dir.stat().st_uid
    found = list(_data_faults(data_dir, owner))
    for name, path in _secrets(config):
        found += [f"{name}: {path} {fault}" for fault in _outside_faults(path, owner, secret=True)]
    if config_path is not None:
        changed = _outside_faults(config_path, owner, secret=False)
        found += [f"configuration: {config_path} {fault}" for fault in changed]
    return found


def _data_faults(data_dir: Path, owner: int) -> Iterator[str]:
    unreadable: list[OSError] = []
    counts: Counter[tuple[str, str]] = Counter()
    for folder, folders, files in os.walk(data_dir, onerror=unreadable.append):
        top, *_ = Path(os.path.relpath(folder, data_dir)).parts or (".",)
        if top == ".":
            counts.update((".", fault) for fault in _private_faults(folder, owner))
        for name in (*folders, *files):
            place = name if top == "." else top
            path = os.path.join(folder, name)  # noqa: PTH118 - a Path for each film is slow
            counts.update((place, fault) for fault in _private_faults(path, owner))
    for (place, fault), count in sorted(counts.items()):
        where = "the data folder" if place == "." else place
        yield f"{where} {fault}" + (f" ({count} files and folders)" if count > 1 else "")
    yield from (f"{error.filename} cannot be read: {error.strerror}" for error in unreadable)


def _private_faults(path: str, owner: int) -> Iterator[str]:
    try:
        found = os.lstat(path)
    except FileNotFoundError:  # the running node removed it
        return
    if stat.S_ISLNK(found.st_mode):
        yield "is a symbolic link"
        return
    if found.st_uid != owner:
        yield "belongs to another user than the data folder"
    if found.st_mode & _OTHERS:
        yield f"is open to other users: {stat.S_IMODE(found.st_mode):04o}"


def _secrets(config: Config) -> Iterator[tuple[str, Path]]:
    """Every file that holds a key, a passphrase, a token or passcodes."""
    named: list[tuple[str, Path | None]] = [
        ("node.users_file", config.node.users_file),
        ("tls.key_file", config.tls.key_file),
        ("tls.passphrase_file", config.tls.passphrase_file),
        ("audit.signing_key_file", config.audit.signing_key_file),
    ]
    for each in config.destinations:
        if isinstance(each, WebService):
            named.append((f"token_file of {each.name}", each.token_file))
    yield from ((name, path) for name, path in named if path is not None)


def _outside_faults(path: Path, owner: int, *, secret: bool) -> Iterator[str]:
    try:
        found, folder = path.stat(), path.parent.stat()
    except OSError as error:
        yield f"cannot be examined: {error.strerror}"
        return
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid not in (owner, _ROOT):
        yield "belongs to another user"
    if mode & _OTHERS_WRITE:
        yield f"may be changed by other users: {mode:04o}"
    group_reads = 0o040 if found.st_uid == _ROOT != owner else 0
    if secret and mode & _OTHERS & ~_OTHERS_WRITE & ~group_reads:
        yield f"may be read by other users: {mode:04o}"
    if folder.st_mode & _OTHERS_WRITE and not folder.st_mode & stat.S_ISVTX:
        yield "lies in a folder that other users may change"
