"""Films and results in the data folder and in a bucket: the same promises."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.peer import free_port
from support.receiving import received
from support.s3 import S3, s3_server

from dicom_node.config import StoreConfig
from dicom_node.dicom.blobs import Blobs, BlobsAway, Folder
from dicom_node.errors import NodeError
from dicom_node.store.bucket import Bucket, bucket, bucket_fault
from dicom_node.store.files import upload_files

_URL = "postgresql+psycopg://db/node"

FILM = Path("spool/instances/ab/abcd.dcm")
ATTEMPT = Path("results/ab/study/1-cafe")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    for folder in ("spool/incoming", "spool/instances", "results"):
        (tmp_path / folder).mkdir(parents=True)
    if request.param == "folder":
        return Folder(tmp_path)
    server: S3 = request.getfixturevalue("s3")
    return server.open(tmp_path, tmp_path.name)


def _arrived(data_dir: Path, content: bytes = b"film") -> Path:
    source = data_dir / "spool/incoming/1.part"
    source.write_bytes(received(content))
    return source


def test_a_film_comes_back_as_it_was_put(blobs: Blobs, tmp_path: Path) -> None:
    """And is there until it is deleted; deleting twice is no fault."""
    name = blobs.fresh(FILM)
    assert not blobs.is_there(name)
    blobs.put(_arrived(tmp_path), name)
    with blobs.local(name, hashlib.sha256(b"film").hexdigest()) as path:
        assert path.read_bytes() == received(b"film")
    assert blobs.is_there(name)
    for _ in range(2):
        blobs.delete([name])
    assert not blobs.is_there(name)
    with pytest.raises(FileNotFoundError), blobs.local(name) as path:
        path.read_bytes()


def test_the_results_of_an_attempt_are_kept_or_dropped_together(
    blobs: Blobs, tmp_path: Path
) -> None:
    """Another attempt has a folder of its own."""
    for attempt in (ATTEMPT, ATTEMPT.with_name("1-beef")):
        for name in ("sr.dcm", "sc.dcm"):
            (tmp_path / attempt / "1.2").mkdir(parents=True, exist_ok=True)
            (tmp_path / attempt / "1.2" / name).write_bytes(attempt.name.encode())
        blobs.publish(attempt)
    assert {each.name for each in blobs.folders(ATTEMPT.parent)} == {"1-cafe", "1-beef"}
    blobs.drop(ATTEMPT.with_name("1-beef"))
    assert [each.name for each in blobs.folders(ATTEMPT.parent)] == ["1-cafe"]
    with blobs.local(ATTEMPT / "1.2" / "sr.dcm") as path:
        assert path.read_bytes() == b"1-cafe"


@pytest.fixture
def made(s3: S3, tmp_path: Path) -> Callable[[], Bucket]:
    (tmp_path / "spool/incoming").mkdir(parents=True)
    return lambda: s3.open(tmp_path, tmp_path.name)


def test_no_object_is_overwritten(made: Callable[[], Bucket], tmp_path: Path) -> None:
    """A repeat after a lost answer is no fault; other bytes under the same name are."""
    blobs = made()
    assert blobs.upload(_arrived(tmp_path), FILM)
    assert not blobs.upload(_arrived(tmp_path), FILM)
    with pytest.raises(BlobsAway):
        blobs.upload(_arrived(tmp_path, b"other"), FILM)


def test_a_film_that_changed_in_the_bucket_is_not_read(
    made: Callable[[], Bucket], tmp_path: Path
) -> None:
    """Its data set is compared with the digest of what was received."""
    blobs = made()
    blobs.put(_arrived(tmp_path), FILM)
    with pytest.raises(OSError, match="differs"), blobs.local(FILM, "0" * 64):
        pass


def test_what_no_row_names_is_found_once_it_is_old(
    made: Callable[[], Bucket], tmp_path: Path
) -> None:
    """A film whose row may still be on its way is left alone."""
    blobs, other, now = made(), FILM.with_name("other.dcm"), datetime.now(UTC)
    for name in (FILM, other):
        blobs.put(_arrived(tmp_path), name)
    assert blobs.unnamed({FILM.as_posix()}, now - timedelta(days=1)) == []
    assert blobs.unnamed({FILM.as_posix()}, now + timedelta(days=1)) == [other]


def test_a_bucket_that_is_away_is_a_fault_of_its_own(s3: S3, tmp_path: Path) -> None:
    """Callers try again later; a film that is not there is another fault."""
    (tmp_path / "spool/incoming").mkdir(parents=True)
    away = {"endpoint": f"http://127.0.0.1:{free_port()}", "files": "s3://films/x"}
    missing = {"endpoint": s3.endpoint, "files": "s3://none/x"}
    for keys in (away, missing):
        settings = StoreConfig(url=_URL, **keys)
        with pytest.raises(BlobsAway, match=f"{keys['files']} cannot be used"):
            bucket(settings, tmp_path).put(_arrived(tmp_path), FILM)
        assert "cannot be used" in (bucket_fault(settings) or "")
        assert "cannot be used" in bucket(settings, tmp_path).trial()[0]


def test_a_bucket_is_tried_by_a_command(s3: S3, tmp_path: Path) -> None:
    """It puts, fetches, lists and removes; nothing stays."""
    settings = StoreConfig(url=_URL, **s3.settings("tried"))
    assert bucket_fault(settings) is None
    blobs = bucket(settings, tmp_path)
    assert blobs.trial() == []
    assert list(blobs.names(Path("check"))) == []


def test_a_data_folder_is_copied_to_a_bucket(made: Callable[[], Bucket], tmp_path: Path) -> None:
    """What an earlier run copied is not sent again; a film that was altered is not copied."""
    for name in (FILM, ATTEMPT / "sr.dcm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(received(b"film"))
    named = {FILM.as_posix(): hashlib.sha256(b"film").hexdigest(), f"{ATTEMPT}/sr.dcm": None}
    for files in (2, 0):
        copied = upload_files(tmp_path, made(), named, lambda _: None)
        assert (copied.files, copied.earlier) == (files, 2 - files)
    with made().local(ATTEMPT / "sr.dcm") as path:
        assert path.read_bytes() == received(b"film")
    with pytest.raises(NodeError, match="differs from what was received"):
        upload_files(tmp_path, made(), {FILM.as_posix(): "0" * 64}, lambda _: None)
