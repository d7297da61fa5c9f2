"""Films and results, by the names that their rows hold.

`Folder` keeps them below the data folder, which may be shared. `dicom_node.store.bucket` keeps them
in a bucket.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dicom_node.dicom.files import durable_rename, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_RESULTS = "results"


class BlobsAway(OSError):
    """The bucket does not answer, or refuses; a later attempt may succeed."""


class Blobs(Protocol):
    """Where films and results are; each method raises OSError if that cannot be reached."""

    def fresh(self, name: Path) -> Path:
        """The name under which to put a film: this one, or one that no other object ever has."""

    def put(self, source: Path, name: Path) -> None:
        """Keep a file of the data folder; when this returns, it is durable. It may be moved."""

    def local(self, name: Path, sha256: str | None = None) -> AbstractContextManager[Path]:
        """A file of this machine with the bytes, as long as the block runs.

        Raises FileNotFoundError, here or when the file is opened, if there is none, and OSError if
        a film's data set that was fetched does not have the digest ``sha256``.
        """

    def publish(self, folder: Path) -> None:
        """Keep the results that were written to this folder below the data folder."""

    def is_there(self, name: Path) -> bool:
        """Whether it is kept."""

    def beside(self, name: Path) -> list[Path]:
        """What else may be kept of the same UID, without a row that names it."""

    def folders(self, below: Path) -> list[Path]:
        """The folders in a folder of results."""

    def delete(self, names: Iterable[Path]) -> None:
        """Remove what is there of these."""

    def drop(self, folder: Path) -> None:
        """Remove everything below a folder."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Films and results below the data folder; see `Blobs`."""

    data_dir: Path

    def fresh(self, name: Path) -> Path:
        """The name itself: a film that is sent again replaces one without a row."""
        return name

    def put(self, source: Path, name: Path) -> None:
        """Move a file whose bytes are on the disk already to its final place, durably."""
        target = self.data_dir / name
        if not target.parent.exists():  # 256 times in a node's life
            target.parent.mkdir(exist_ok=True)
            sync_folder(target.parent.parent)
        durable_rename(source, target)

    @contextmanager
    def local(self, name: Path, sha256: str | None = None) -> Iterator[Path]:
        """The file itself."""
        yield self.data_dir / name

    def publish(self, folder: Path) -> None:
        """Nothing: results are written durably where they stay."""

    def is_there(self, name: Path) -> bool:
        """Whether there is such a file."""
        return (self.data_dir / name).is_file()

    def beside(self, name: Path) -> list[Path]:
        """Other bytes received under the same UID."""
        found = (self.data_dir / name.parent).glob(f"{name.stem}.*.dcm")
        return [each.relative_to(self.data_dir) for each in found]

    def folders(self, below: Path) -> list[Path]:
        """The folders in a folder of results."""
        return [each.relative_to(self.data_dir) for each in (self.data_dir / below).glob("*/")]

    def delete(self, names: Iterable[Path]) -> None:
        """Remove files, and folders of results that are empty then."""
        gone = set(names)
        for name in gone:
            (self.data_dir / name).unlink(missing_ok=True)
        for folder in {name.parent for name in gone if name.parts[0] == _RESULTS}:
            _remove_empty(self.data_dir / folder)
            _remove_empty(self.data_dir / folder.parent)

    def drop(self, folder: Path) -> None:
        """Remove a folder."""
        shutil.rmtree(self.data_dir / folder, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # it holds another file
        return
