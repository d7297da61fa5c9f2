"""Experiments leave a table with the paper's figures beside ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models import registry
from train.data import Film
from train.experiments.result import Run, write
from train.experiments.table4 import table4


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[Film]:
    """Films that were scored; the logits follow the labels."""
    seen: list[Film] = []

    def scores(_: object, film: Film) -> dict[str, float]:
        seen.append(film)
        ill = 3.0 if film.label != "normal" else -3.0
        return {"lung_area": 0.3, "pneumonia": ill, "covid19": 3.0 * (film.label == "covid")}

    monkeypatch.setattr("train.evaluate._scores", scores)
    return seen


def test_table4_stands_beside_the_papers_and_scores_no_film_twice(
    tiny_data: Path, tmp_path: Path, scored: list[Film]
) -> None:
    """Own films stand beside the paper's open test split; a second run reads the scores."""
    run = Run(name="table4", data=tiny_data, models=registry.DEFAULT, out=tmp_path / "out",
              config={"most": 1000})  # fmt: skip
    text = write(run, table4(run), tmp_path / "docs")
    once = len(scored)
    assert "| 2 | own test split, NIH alone | 2 / 2 | 1.000 (1.000 to 1.000) |" in text
    assert "96.72 / 92.85 / 90.05" in text
    assert "88.04 / 85.26 / 85.86" in text
    assert write(run, table4(run), tmp_path / "docs") == text
    assert len(scored) == once
    kept = json.loads((tmp_path / "docs" / "table4.json").read_text())
    assert kept["numbers"]["stage 2, own test split, NIH alone"]["auc"]["value"] == 1.0
