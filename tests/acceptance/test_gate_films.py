"""Real DICOM files through the whole pipeline with the shipped networks; they never enter git."""

from __future__ import annotations

import csv
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from support.film import film, phantom, write

from dicom_node.config import Config
from dicom_node.infer import CascadeReader
from dicom_node.pipeline import Pipeline

pytestmark = pytest.mark.slow

FOLDER = Path(os.environ.get("DATA", "/nonexistent")) / "dicom"


def _rows() -> list[dict[str, str]]:
    if not (FOLDER / "manifest.csv").exists():
        return []
    with (FOLDER / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def _pipeline() -> Pipeline:
    return Pipeline(
        config=Config(),
        reader=CascadeReader(Config().models, 1),
        clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


@pytest.mark.skipif(not _rows(), reason="DATA names no folder with dicom/manifest.csv")
@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["path"][:30])
def test_a_real_file_is_answered_as_its_manifest_expects(
    row: dict[str, str], tmp_path: Path
) -> None:
    """Chests are read, everything else is refused, a lying photometric tag is noticed."""
    outcome = _pipeline().read(FOLDER / row["path"], tmp_path)
    assert (outcome.refusal is not None) == row["expected"].startswith("refuse"), outcome.refusal
    if "polarity" in row["expected"]:
        assert outcome.reading is not None
        assert outcome.reading.polarity == "corrected"


def test_the_phantom_of_these_tests_passes_the_shipped_gate(tmp_path: Path) -> None:
    """Else every test that sends it to a whole node would see a refusal."""
    for seed in range(3):
        path = write(film(phantom(seed=seed)), tmp_path / f"{seed}.dcm")
        assert _pipeline().read(path, tmp_path / "out").refusal is None
