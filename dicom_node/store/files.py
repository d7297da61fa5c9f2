"""Copies the files of the data folder that a database names, and what belongs to it besides."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dicom_node.dicom.files import data_set_sha256, durable_write, sha256_of
from dicom_node.errors import NodeError
from dicom_node.store.bucket import Bucket

#: Besides films and results. Promoted networks are in ``models``.
BESIDES = ("checkpoints", "models", "node.secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCopy:
    """How many files and bytes were copied now; how many files were there already."""

    place: str  # the folder, or the bucket
    files: int
    bytes: int
    earlier: int


def copy_files(
    data_dir: Path,
    folder: Path,
    named: Mapping[str, str | None],
    advance: Callable[[int], object],
) -> FileCopy:
    """Copy films and results by their names below the data folder, and what belongs to it.

    Each copy is durable and has its name only when it is whole. What an earlier run copied is
    compared, not copied again.

    Parameters
    ----------
    named
        SHA-256 of each film; None for a result, which is compared with its original.
    advance
        Called with 1 for each named file.

    Raises
    ------
    NodeError
        A file is missing, differs from what was received, or cannot be written.
    """
    files = size = earlier = 0
    wanted = {**dict.fromkeys(_besides(data_dir)), **named}
    for name, sha256 in wanted.items():
        try:
            written = _copy(data_dir / name, folder / name, sha256)
        except OSError as error:
            raise NodeError(f"{name} cannot be copied: {error}") from error
        files, size, earlier = files + (written > 0), size + written, earlier + (written == 0)
        advance(name in named)
    return FileCopy(place=str(folder), files=files, bytes=size, earlier=earlier)


def upload_files(
    data_dir: Path,
    bucket: Bucket,
    named: Mapping[str, str | None],
    advance: Callable[[int], object],
) -> FileCopy:
    """Copy films and results to a bucket, as `copy_files` does; the rest stays where it is."""
    files = size = 0
    for name, sha256 in named.items():
        source = data_dir / name
        try:
            _check(source, sha256)
            if bucket.upload(source, Path(name)):
                files, size = files + 1, size + source.stat().st_size
        except OSError as error:
            raise NodeError(f"{name} cannot be copied: {error}") from error
        advance(1)
    return FileCopy(place=bucket.place, files=files, bytes=size, earlier=len(named) - files)


def _besides(data_dir: Path) -> list[str]:
    found = [data_dir / name for name in BESIDES]
    inside = [path for each in found for path in (each, *each.rglob("*")) if path.is_file()]
    return [str(path.relative_to(data_dir)) for path in inside]


def _check(source: Path, sha256: str | None) -> None:
    if sha256 is not None and data_set_sha256(source) != sha256:
        raise NodeError(f"{source} differs from what was received")


def _copy(source: Path, target: Path, sha256: str | None) -> int:
    """Return how many bytes were written: none if the same file is there."""
    _check(source, sha256)
    expected = sha256_of(source)
    if target.is_file() and sha256_of(target) == expected:
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as original:
        durable_write(target, lambda file: shutil.copyfileobj(original, file))
    if sha256_of(target) != expected:
        raise NodeError(f"{target} differs from {source}")
    return source.stat().st_size
