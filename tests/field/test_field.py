"""The files that come with pydicom: each ends read or refused, none in an exception."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.film import film
from support.film import write as write_film
from support.readings import MODEL, frame, look, negative

from dicom_node.config import Config
from dicom_node.domain.values import Image, RefusalCode
from dicom_node.pipeline import Pipeline
from field.corpus import collections
from field.page import marks, table, write
from field.run import Outcome, run
from models.reading import Look, ModelIdentity, Reading

FILES = collections([])["pydicom"]
CODES = {code.value for code in RefusalCode}


class Scripted:
    """Reads every film as negative, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    @property
    def identity(self) -> ModelIdentity:
        return MODEL

    def look(self, image: Image) -> Look:
        return look()

    def read(self, image: Image, *, force_stage3: bool = False, **_: object) -> Reading:
        if self._error:
            raise self._error
        return negative(frame(*image.pixels.shape))


def pipeline(error: Exception | None = None) -> Pipeline:
    # the smallest films are taken, too, so that their pixels are decoded
    config = Config.model_validate({"select": {"min_side": 64, "max_aspect": 9}})
    return Pipeline(
        config=config, reader=Scripted(error), clock=lambda: datetime(2026, 1, 2, tzinfo=UTC)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore")
def test_each_file_is_read_or_refused(path: Path, tmp_path: Path) -> None:
    """No exception, no object that may not leave, and bounded memory."""
    outcome = run(pipeline(), path, tmp_path)
    assert outcome.how in {"read", *CODES}, outcome.why


def test_an_exception_is_a_failure_and_quotes_nothing(tmp_path: Path) -> None:
    """The table names type and place."""
    path = write_film(film(), tmp_path / "a.dcm")
    outcome = run(pipeline(ValueError("Doe^Jane")), path, tmp_path)
    assert outcome.failed
    assert outcome.how == "FAILED"
    assert "ValueError" in outcome.why
    assert "Doe" not in outcome.why


def test_the_table_counts_and_names_what_failed(tmp_path: Path) -> None:
    """One row for each collection; the rest of the page is kept."""
    page = tmp_path / "FIELD.md"
    begin, end = marks("corpus")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    outcomes = [
        Outcome(path=Path("a"), how="read", seconds=1.0, mebibytes=700),
        Outcome(path=Path("b"), how="modality", why="CT"),
        Outcome(path=Path("c"), how="read", seconds=16.0),
    ]
    write(page, "corpus", table({"some": outcomes}))
    text = page.read_text()
    assert "| some | 3 | 2 | modality 1 | 1 | 16.0 s | 700 MiB |" in text
    assert "- `c`: read" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
