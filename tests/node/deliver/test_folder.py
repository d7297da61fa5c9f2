"""Results as files in a folder."""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit
from support.answers import UNAVAILABLE, UNREADABLE, Said, said
from support.film import Stored, film, phantom, write

from dicom_node.commitment.confirm import Found
from dicom_node.commitment.folder import FolderVerifier
from dicom_node.config import FolderDestination
from dicom_node.deliver import folder as module
from dicom_node.deliver.folder import FolderSender
from dicom_node.dicom.blobs import Folder
from dicom_node.domain.commitment import CommitmentQuery
from dicom_node.domain.values import Delivery, Result
from dicom_node.errors import PeerUnavailable

STORED = (0x0000, "stored")


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    films = [film(phantom(64, 64)) for _ in range(2)]
    return [write(ds, tmp_path / f"{number}.dcm") for number, ds in enumerate(films)]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def send(out: Path, paths: list[Path]) -> list[tuple[Said, str]]:
    return said(
        FolderSender([FolderDestination(kind="folder", name="disk", path=out)]).send("disk", paths)
    )


def files(out: Path) -> list[Path]:
    return sorted(path for path in out.rglob("*") if path.is_file())


def test_each_object_is_a_file_below_its_study(films: list[Path], out: Path) -> None:
    """The bytes are those the node keeps."""
    assert send(out, films) == [STORED] * 2
    for path in films:
        ds = dcmread(path)
        placed = out / ds.StudyInstanceUID / f"{ds.SOPInstanceUID}.dcm"
        assert placed.read_bytes() == path.read_bytes()
    assert len(files(out)) == 2


def test_again_changes_nothing(films: list[Path], out: Path) -> None:
    """A second delivery of the same object does not touch the file."""
    send(out, films)
    before = [path.stat().st_mtime_ns for path in files(out)]
    assert send(out, films) == [STORED] * 2
    assert [path.stat().st_mtime_ns for path in files(out)] == before


def test_a_folder_that_is_away_is_not_made(films: list[Path], tmp_path: Path) -> None:
    """A mount that is not there must not be written below."""
    away = tmp_path / "mount" / "results"
    assert {status for status, _ in send(away, films)} == {UNAVAILABLE}
    assert not away.parent.exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_does_not_take_it_is_tried_again(
    films: list[Path], out: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Full, read-only, forbidden or broken: no answer, a reason, and nothing half in the folder."""

    def fails(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fails)
    for status, reason in send(out, films):
        assert status is UNAVAILABLE
        assert os.strerror(code) in reason
    assert files(out) == []


def test_a_disk_that_takes_no_more_bytes(films: list[Path], out: Path) -> None:
    """The kernel refuses in the middle of the file: no answer, and no half file stays."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        [(status, reason)] = send(out, films[:1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status is UNAVAILABLE
    assert "File too large" in reason
    assert files(out) == []


def test_links_that_another_user_put_in_the_folder_are_not_followed(
    films: list[Path], out: Path, tmp_path: Path
) -> None:
    """A link at a file's name is replaced; one at the study's name is not entered."""
    precious = tmp_path / "precious"
    precious.mkdir()
    ds, other = dcmread(films[0]), dcmread(films[1])
    name = f"{ds.SOPInstanceUID}.dcm"
    (precious / name).write_text("mine")
    (out / ds.StudyInstanceUID).mkdir()
    (out / ds.StudyInstanceUID / name).symlink_to(precious / name)
    (out / other.StudyInstanceUID).symlink_to(precious)
    [answered, away] = send(out, films)
    assert answered == STORED
    assert away[0] is UNAVAILABLE
    assert (precious / name).read_text() == "mine"
    assert files(precious) == [precious / name]
    assert not (out / ds.StudyInstanceUID / name).is_symlink()


def test_a_result_is_looked_for_in_the_study_it_names(films: list[Path], out: Path) -> None:
    """A pseudonymous result lies in a folder of its own study's UID."""
    send(out, films)
    verifier = FolderVerifier(
        [FolderDestination(kind="folder", name="disk", path=out)], Folder(out.parent)
    )
    asked = query(films[:1])
    [delivery] = asked.deliveries
    moved = replace(delivery.result, sent_study_instance_uid=asked.study_instance_uid)
    asked = replace(
        asked, study_instance_uid="1.2.3", deliveries=(replace(delivery, result=moved),)
    )
    assert verifier.ask(asked).kept == {moved.sop_instance_uid}


def test_a_link_or_pipe_with_the_right_name_is_not_the_result(films: list[Path], out: Path) -> None:
    """Its target may change after the check; a pipe would keep the node waiting."""
    send(out, films)
    verifier = FolderVerifier(
        [FolderDestination(kind="folder", name="disk", path=out)], Folder(out.parent)
    )
    ds = dcmread(films[0])
    path = out / ds.StudyInstanceUID / f"{ds.SOPInstanceUID}.dcm"
    for put in (lambda: path.symlink_to(films[0]), lambda: os.mkfifo(path)):
        assert verifier.ask(query(films[:1])).kept == {ds.SOPInstanceUID}
        path.unlink()
        put()
        assert verifier.ask(query(films[:1])).kept == frozenset()
        path.unlink()
        send(out, films[:1])


def test_the_name_of_a_file_in_progress_cannot_be_guessed(
    films: list[Path], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It differs from file to file and from try to try; the rest of a killed try is removed."""
    ds = dcmread(films[0])
    study = out / ds.StudyInstanceUID
    study.mkdir()
    (study / f".{ds.SOPInstanceUID}.dcm.0123.part").write_text("half")
    fsync = os.fsync
    seen: list[str] = []

    def look(handle: int) -> None:
        seen.extend(path.name for path in study.glob(".*.part"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", look)
    send(out, films[:1])
    files(out)[0].unlink()
    send(out, films[:1])
    assert len(set(seen)) == 2
    assert not any("0123" in name for name in seen)


def test_a_result_may_be_read_by_those_who_may_read_the_folder(
    films: list[Path], out: Path
) -> None:
    """Whatever the node's umask; other users may not write to it."""
    before = os.umask(0o077)
    try:
        for mode, folder_mode, file_mode in ((0o750, 0o750, 0o640), (0o700, 0o700, 0o600)):
            out.chmod(mode)
            send(out, films)
            for path in files(out):
                assert path.stat().st_mode & 0o777 == file_mode
                assert path.parent.stat().st_mode & 0o777 == folder_mode
                path.unlink()
                path.parent.rmdir()
    finally:
        os.umask(before)


def test_a_file_that_is_none_is_held(films: list[Path], out: Path, tmp_path: Path) -> None:
    """Asking again would not help."""
    (tmp_path / "text").write_text("hello")
    ds = film(phantom(64, 64), without=["StudyInstanceUID"])
    bare = write(ds, tmp_path / "bare.dcm")
    answers = send(out, [tmp_path / "none.dcm", tmp_path / "text", bare, films[0]])
    assert [status for status, _ in answers] == [UNREADABLE, UNREADABLE, UNREADABLE, 0]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_uid_never_leads_out_of_the_folder(out: Path, tmp_path: Path) -> None:
    """What is no UID names no file."""
    ds = film(phantom(64, 64))
    path = write(ds, tmp_path / "evil.dcm")
    content = path.read_bytes().replace(ds.StudyInstanceUID.encode()[:9], b"../../../")
    path.write_bytes(content)
    assert [status for status, _ in send(out, [path])] == [UNREADABLE]
    assert files(out) == []


def test_killed_at_any_moment_a_file_is_whole_or_not_there(tmp_path: Path, out: Path) -> None:
    """SIGKILL while writing leaves no half file under a result's name; a retry completes it."""
    source = write(film(np.zeros((900, 900), np.float32)), tmp_path / "large.dcm")
    whole, target = source.read_bytes(), out / "1.2" / "3.4.dcm"
    for milliseconds in range(1, 20, 3):
        if (child := os.fork()) == 0:
            _write_without_end(whole, out, target)
        time.sleep(milliseconds / 1000)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert not target.exists() or target.read_bytes() == whole
    module._write(BytesIO(whole), out, "1.2", "3.4.dcm")
    assert files(out) == [target]


def _write_without_end(whole: bytes, out: Path, target: Path) -> None:
    try:
        while True:
            target.unlink(missing_ok=True)
            module._write(BytesIO(whole), out, "1.2", "3.4.dcm")
    finally:
        os._exit(1)


def test_echo_says_whether_a_file_can_be_written(out: Path, tmp_path: Path) -> None:
    """Without leaving anything behind."""
    there = FolderDestination(kind="folder", name="there", path=out)
    away = FolderDestination(kind="folder", name="away", path=tmp_path / "away")
    sender = FolderSender([there, away])
    assert sender.echo("there").ok
    assert not sender.echo("away").ok
    assert "No such file" in sender.echo("away").reason
    assert files(out) == []


def query(paths: list[Path]) -> CommitmentQuery:
    headers = [dcmread(path) for path in paths]
    return CommitmentQuery(
        transaction_uid="2.25.1", study_instance_uid=headers[0].StudyInstanceUID,
        destination="disk", lease="x", asked=0,
        deliveries=tuple(
            Delivery(
                id=number, attempt=1,
                result=Result(
                    sop_instance_uid=ds.SOPInstanceUID, sop_class_uid=ds.SOPClassUID,
                    series_instance_uid=ds.SeriesInstanceUID, modality="CR",
                    series_description="", path=path,
                ),
            )
            for number, (ds, path) in enumerate(zip(headers, paths, strict=True))
        ),
    )  # fmt: skip


def test_a_file_is_read_again_before_it_counts_as_kept(films: list[Path], out: Path) -> None:
    """One that was changed or removed is not; a folder that is away says nothing of its files."""
    send(out, films)
    verifier = FolderVerifier(
        [FolderDestination(kind="folder", name="disk", path=out)], Folder(out.parent)
    )
    asked = query(films[:1])
    [uid] = [reference.sop_instance_uid for reference in asked.references]
    assert verifier.ask(asked).found is Found.LOOKED_UP
    assert verifier.ask(asked).kept == {uid}
    [file] = [path for path in files(out) if path.stem == uid]
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert verifier.ask(asked).kept == frozenset()
    file.unlink()
    assert verifier.ask(asked).kept == frozenset()
    out.rename(out.with_name("elsewhere"))
    with pytest.raises(PeerUnavailable, match="No such file"):
        verifier.ask(asked)


def test_a_folder_for_programs_that_read_no_jpeg_gets_plain_pictures(
    tmp_path: Path, out: Path
) -> None:
    """Under the same UID; written again it changes nothing, and it is found when checked."""
    ds = film(phantom(64, 64), kind="sc", stored=Stored(bits=8), syntax=JPEGBaseline8Bit)
    path = write(ds, tmp_path / "picture.dcm")
    plain = FolderDestination(kind="folder", name="disk", path=out, uncompressed=True)
    for _ in range(2):
        assert said(FolderSender([plain]).send("disk", [path])) == [STORED]
    [placed] = files(out)
    kept = dcmread(placed)
    assert kept.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert kept.SOPInstanceUID == ds.SOPInstanceUID
    assert np.array_equal(kept.pixel_array, dcmread(path).pixel_array)
    found = FolderVerifier([plain], Folder(out.parent)).ask(query([path]))
    assert found.kept == {ds.SOPInstanceUID}
