"""`read` of many files: one that fails does not cost the others their reading."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.film import film, phantom, write
from support.readings import MODEL, frame, look, negative

from dicom_node.cli.read import read_files
from dicom_node.config import Config
from dicom_node.domain.values import FilmOutcome, Image
from dicom_node.pipeline import Pipeline, entry
from models.reading import Look, ModelIdentity, Reading

QUOTED = "Doe^Jane"


class FailingReader:
    """Raises an error for each film of 400 rows."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    @property
    def identity(self) -> ModelIdentity:
        return MODEL

    def look(self, image: Image) -> Look:
        return look()

    def read(self, image: Image, *, force_stage3: bool = False, **_: object) -> Reading:
        if image.pixels.shape[0] == 400:
            raise self._error
        return negative(frame(*image.pixels.shape))


def _read(folder: Path, error: Exception) -> list[tuple[Path, FilmOutcome | str]]:
    pipeline = Pipeline(
        config=Config(),
        reader=FailingReader(error),
        clock=lambda: datetime(2026, 1, 2, tzinfo=UTC),
    )
    files = [
        write(film(), folder / "a.dcm"),
        write(film(phantom(rows=400)), folder / "b.dcm"),
        folder / "gone.dcm",
        write(film(), folder / "c.dcm"),
    ]
    return read_files(pipeline, files, folder / "out", force_stage3=False)


@pytest.mark.parametrize("error", [ValueError(QUOTED), KeyError(QUOTED), MemoryError(QUOTED)])
def test_a_file_that_fails_has_an_entry_and_the_others_are_read(
    tmp_path: Path, error: Exception
) -> None:
    """The entry has the keys of every other, names the error, and quotes nothing of the film."""
    films = _read(tmp_path, error)
    entries = [entry(path, outcome) for path, outcome in films]
    assert [each["accepted"] for each in entries] == [True, False, False, True]
    assert [each["error"] is None for each in entries] == [True, False, False, True]
    assert len({frozenset(each) for each in entries}) == 1
    assert type(error).__name__ in str(entries[1]["error"])
    assert QUOTED not in str(entries)


def test_a_full_disk_ends_the_batch(tmp_path: Path) -> None:
    """No other film could be written either."""
    with pytest.raises(OSError, match="full"):
        _read(tmp_path, OSError(errno.ENOSPC, "full"))
