"""The gate in the pipeline: a refused film never has a score."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from support.film import film, write
from support.readings import MODEL, frame, look, negative

from dicom_node.config import Config
from dicom_node.domain.values import FilmOutcome, Image, RefusalCode
from dicom_node.pipeline import Pipeline, entry
from models.reading import Look, ModelIdentity, Reading


@dataclass
class GatedReader:
    """Returns a scripted look, and records the films it reads."""

    sees: Look
    distance: float = 1.0
    films: list[Image] = field(default_factory=list)

    @property
    def identity(self) -> ModelIdentity:
        return MODEL

    def look(self, image: Image) -> Look:
        return self.sees

    def read(self, image: Image, *, force_stage3: bool = False, **_: object) -> Reading:
        self.films.append(image)
        return replace(negative(frame(*image.pixels.shape)), distance=self.distance)


def _read(folder: Path, reader: GatedReader, **gate: object) -> FilmOutcome:
    pipeline = Pipeline(
        config=Config.model_validate({"gate": gate}),
        reader=reader,
        clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    return pipeline.read(write(film(), folder / "a.dcm"), folder / "out")


def test_what_is_no_frontal_chest_is_never_scored(tmp_path: Path) -> None:
    """The chest networks do not run."""
    reader = GatedReader(look("lateral"))
    outcome = _read(tmp_path, reader)
    assert outcome.refusal is not None
    assert outcome.refusal.code is RefusalCode.NOT_FRONTAL
    assert outcome.reading is None
    assert reader.films == []


def test_an_unfamiliar_film_has_no_score(tmp_path: Path) -> None:
    """Stage 2 had to run to measure the distance; its score is dropped."""
    outcome = _read(tmp_path, GatedReader(look(), distance=99.0))
    assert outcome.refusal is not None
    assert outcome.refusal.code is RefusalCode.UNFAMILIAR
    assert outcome.reading is None


def test_a_child_is_refused_before_its_pixels_are_looked_at(tmp_path: Path) -> None:
    """The phantom is 56 years old; the limit here is 60."""
    reader = GatedReader(look("other"))
    outcome = _read(tmp_path, reader, min_age_years=60)
    assert outcome.refusal is not None
    assert outcome.refusal.code is RefusalCode.AGE


def test_an_inverted_film_is_read_the_right_way_round_and_says_so(tmp_path: Path) -> None:
    """The correction is part of the summary and of `read --json`."""
    plain, turned = GatedReader(look()), GatedReader(look(inverted=1.0))
    assert entry(Path("a"), _read(tmp_path, plain))["polarity"] is None
    outcome = _read(tmp_path, turned)
    np.testing.assert_allclose(turned.films[0].pixels, 1 - plain.films[0].pixels, atol=1e-6)
    assert outcome.reading is not None
    assert outcome.reading.polarity == "corrected"
    assert entry(Path("a"), outcome)["polarity"] == "corrected"


def test_a_gate_that_is_off_lets_everything_in(tmp_path: Path) -> None:
    """A site may decide elsewhere which films are read."""
    outcome = _read(tmp_path, GatedReader(look("other"), distance=99.0), enabled=False)
    assert outcome.refusal is None
