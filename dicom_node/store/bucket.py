"""Films and results in an S3 bucket; implements `dicom_node.dicom.blobs.Blobs`.

No name is used twice: each film, and each attempt at a reading, has one of its own. So nothing is
ever overwritten, and what a killed process left can be removed without harm to a later object.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dicom_node.dicom.blobs import Blobs, BlobsAway, Folder
from dicom_node.dicom.files import data_set_sha256, sha256_of
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Store

    from dicom_node.config import Config, StoreConfig

_MISSING = "store.files names a bucket, but obstore is missing: pip install 'dicom-node[cluster]'"
_DIGEST = "sha256"  # the object's metadata: of all its bytes, hex
_WHOLE = 64 * 2**20  # bytes; a larger object is sent in parts, which are joined or never seen
_RETRY: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}  # a peer waits
_CONNECTION: ClientConfig = {"connect_timeout": "5 seconds", "timeout": "60 seconds"}
_ONCE: RetryConfig = {"max_retries": 0}
_SHORT: ClientConfig = {"connect_timeout": "3 seconds", "timeout": "5 seconds"}


def blobs_of(config: Config) -> Blobs:
    """Where a node's films and results are; raises ConfigError if obstore is missing."""
    data_dir = config.node.data_dir
    return bucket(config.store, data_dir) if config.store.in_bucket else Folder(data_dir)


@cache
def bucket(store: StoreConfig, data_dir: Path) -> Bucket:
    """The bucket of ``store.files``; raises ConfigError as `blobs_of` does."""
    return Bucket(_client(store, _RETRY, _CONNECTION), Folder(data_dir), store.files)


def missing_library(store: StoreConfig) -> str | None:
    """A sentence if ``store.files`` names a bucket and obstore is missing."""
    return _MISSING if store.in_bucket and find_spec("obstore") is None else None


def bucket_fault(store: StoreConfig) -> str | None:
    """Why the bucket of ``store.files`` cannot be listed, asked once; None if it can."""
    if (missing := missing_library(store)) is not None:
        return missing
    once = Bucket(_client(store, _ONCE, _SHORT), Folder(Path()), store.files)
    try:
        next(once.names(Path("results")), None)
    except BlobsAway as error:
        return str(error)
    return None


def _client(store: StoreConfig, retry: RetryConfig, connection: ClientConfig) -> S3Store:
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise ConfigError(_MISSING) from error
    url = urlsplit(store.files)
    plain = (store.endpoint or "").startswith("http://")
    config: S3Config = {
        "region": store.region or "us-east-1",
        "checksum_algorithm": "SHA256",
    }
    if store.endpoint:
        config["endpoint"] = store.endpoint
    return S3Store(
        url.netloc,
        prefix=url.path.strip("/") or None,
        config=config,
        client_options={**connection, "allow_http": plain},
        retry_config=retry,
    )


@dataclass(frozen=True, slots=True)
class Bucket:
    """Films and results in a bucket; results are written to the data folder first."""

    _store: S3Store
    _here: Folder
    place: str

    def fresh(self, name: Path) -> Path:
        """A name that no other object ever has."""
        return name.with_name(f"{name.stem}.{secrets.token_hex(8)}{name.suffix}")

    def put(self, source: Path, name: Path) -> None:
        """Send a file; the bucket checks its SHA-256, and keeps no other under this name."""
        self.upload(source, name)

    def upload(self, source: Path, name: Path) -> bool:
        """Send a file, unless the bucket has it; return whether it was sent.

        Raises
        ------
        BlobsAway
            The bucket cannot be reached, or has other bytes under this name.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        digest, parts = sha256_of(source), source.stat().st_size > _WHOLE
        with self._reached():
            try:
                obstore.put(
                    self._store, name.as_posix(), source, attributes={_DIGEST: digest},
                    mode="overwrite" if parts else "create", use_multipart=parts,
                )  # fmt: skip
            except AlreadyExistsError:
                # An answer that was lost, or an earlier run of `store copy`.
                kept = obstore.get(self._store, name.as_posix(), options={"head": True})
                if kept.attributes.get(_DIGEST) != digest:
                    raise
                return False
        return True

    @contextmanager
    def local(self, name: Path, sha256: str | None = None) -> Iterator[Path]:
        """Fetch an object to a file without a name, which ends with this process at the latest."""
        import obstore

        with tempfile.TemporaryFile() as file:
            digest = hashlib.sha256()
            with self._reached(may_miss=True):
                answer = obstore.get(self._store, name.as_posix())
                for chunk in answer.stream():
                    digest.update(chunk)
                    file.write(chunk)
            file.flush()
            path = Path(f"/proc/self/fd/{file.fileno()}")
            put = answer.attributes.get(_DIGEST)
            same = put in (None, digest.hexdigest())
            if not same or (sha256 is not None and data_set_sha256(path) != sha256):
                raise OSError(f"{name.name} in {self.place} differs from what was put there")
            yield path

    def publish(self, folder: Path) -> None:
        """Send what was written to a folder, then remove it here."""
        top = self._here.data_dir
        for path in sorted(path for path in (top / folder).rglob("*") if path.is_file()):
            self.upload(path, path.relative_to(top))
        self._here.drop(folder)

    def is_there(self, name: Path) -> bool:
        """Whether the bucket has it."""
        import obstore

        try:
            with self._reached(may_miss=True):
                obstore.head(self._store, name.as_posix())
        except FileNotFoundError:
            return False
        return True

    def beside(self, name: Path) -> list[Path]:
        """Nothing that a row does not name."""
        return []

    def folders(self, below: Path) -> list[Path]:
        """The folders in a folder of results, those here included, which a killed process left."""
        import obstore

        with self._reached():
            listed = obstore.list_with_delimiter(self._store, f"{below.as_posix()}/")
        found = {Path(str(each)) for each in listed["common_prefixes"]}
        return sorted(found | set(self._here.folders(below)))

    def delete(self, names: Iterable[Path]) -> None:
        """Remove what is there of these."""
        import obstore

        if gone := [name.as_posix() for name in names]:
            with self._reached():
                obstore.delete(self._store, gone)

    def drop(self, folder: Path) -> None:
        """Remove everything below a folder, here too."""
        self._here.drop(folder)
        self.delete(name for name, _ in self.names(folder))

    def names(self, below: Path) -> Iterator[tuple[Path, datetime]]:
        """Every object below a folder, and when it was put."""
        import obstore

        with self._reached():
            for some in obstore.list(self._store, f"{below.as_posix()}/"):
                yield from ((Path(each["path"]), each["last_modified"]) for each in some)

    def trial(self) -> list[str]:
        """Put a small object, fetch, list and remove it; a sentence for each fault."""
        name, faults = self.fresh(Path("check/trial.dcm")), []
        try:
            with tempfile.NamedTemporaryFile() as file:
                file.write(b"1")
                file.flush()
                self.upload(Path(file.name), name)
                file.write(b"2")
                file.flush()
                with suppress(BlobsAway):  # as it should be
                    self.upload(Path(file.name), name)
            with self.local(name) as path:
                if path.read_bytes() != b"1":
                    faults.append(f"{self.place} replaces objects: it ignores If-None-Match")
            if name not in {found for found, _ in self.names(name.parent)}:
                faults.append(f"{self.place} does not list an object that was put")
            self.delete([name])
            if self.is_there(name):
                faults.append(f"{self.place} keeps an object that was removed")
        except OSError as error:
            faults.append(str(error))
        return faults

    def unnamed(self, named: set[str], before: datetime) -> list[Path]:
        """The objects put before this moment that are not among the names, films and results."""
        return sorted(
            name
            for top in ("spool/instances", "results")
            for name, put in self.names(Path(top))
            if name.as_posix() not in named and put.astimezone(UTC) < before
        )

    @contextmanager
    def _reached(self, *, may_miss: bool = False) -> Iterator[None]:
        """Raise BlobsAway for every failure; with ``may_miss``, FileNotFoundError as it is."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            if may_miss and isinstance(error, FileNotFoundError):
                raise
            why = (str(error).splitlines() or [type(error).__name__])[0][:300]
            raise BlobsAway(f"{self.place} cannot be used: {why}") from error
