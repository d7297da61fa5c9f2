"""Experiments leave a table with the paper's figures beside ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models import registry
from models.densenet import ChestDenseNet
from models.unet import LungUNet
from train import settings
from train.data import COVID, NORMAL, PNEUMONIA, Film
from train.experiments.result import Run, write
from train.experiments.sample import sample
from train.experiments.table4 import table4
from train.experiments.table5 import table5


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


@pytest.fixture
def hospitals(write_films: Callable[[list[dict[str, str]]], Path]) -> Path:
    """Two films of every label that a source has, in every split."""
    labels = {
        "nih": (NORMAL, PNEUMONIA),
        "ieee8023": (NORMAL, PNEUMONIA, COVID),
        "kermany": (NORMAL, PNEUMONIA),
        "hannover": (COVID,),
    }
    return write_films(
        [
            {
                "path": f"{source}/{split}{label}{i}.png",
                "split": split,
                "label": label,
                "source": source,
                "subsource": "eurorad" if i else "radiopaedia",
                "group_id": f"{source}{split}{label}{i}",
            }
            for split in ("train", "val", "test")
            for source, own in labels.items()
            for label in own
            for i in range(2)
        ]
    )


@pytest.fixture
def tiny(hospitals: Path, tmp_path: Path) -> Callable[..., Run]:
    """Make a run of an experiment's own YAML, at the least size, on networks of no training."""
    torch.manual_seed(0)
    weights = {}
    for name, network in (("lungs", LungUNet()), ("pneumonia", ChestDenseNet())):
        weights[name] = tmp_path / f"{name}.pt"
        torch.save(network.state_dict(), weights[name])

    def make(name: str, **changes: Any) -> Run:
        config = settings.read(settings.CONFIGS / "experiments" / f"{name}.yaml")
        config |= {"draws": 20, "masking": {"size": 64, "margin": 1}} | changes
        return Run(name=name, data=hospitals, models=registry.DEFAULT, out=tmp_path / "out",
                   docs=tmp_path / "docs", config=config, weights=weights)  # fmt: skip

    return make


def _schedule(**phase: float) -> dict[str, Any]:
    once = {"size": 32, "steps": 1, "learning_rate": 1e-3} | phase
    return {"phases": [once], "threads": 1, "validate_every": 100}


def _numbers(run: Run) -> dict[str, Any]:
    numbers: dict[str, Any] = json.loads((run.docs / f"{run.name}.json").read_text())["numbers"]
    return numbers


def _film(label: str, group: str) -> Film:
    return Film(path=Path(group), split="test", label=label, source="nih", subsource="", view="PA",
                group=group, licence="")  # fmt: skip


def test_two_networks_are_compared_on_the_same_patients() -> None:
    """A network compared with itself gains nothing, on no draw; the better one gains."""
    films = [_film(NORMAL, f"n{i}") for i in range(9)] + [_film(COVID, f"c{i}") for i in range(9)]
    told = sample(films, lambda f: f.label == NORMAL, lambda f: f.label == COVID, draws=50)
    good = np.array([-1.0] * 9 + [1.0] * 9)
    same = told.gain(good, good)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert told.gain(good, 0 * good).value == 0.5
    assert told.moved(good, 0 * good).value == pytest.approx(0.2311, abs=1e-4)
    assert told.recalled(np.array([-1.0] * 9 + [1.0] * 6 + [-1.0] * 3), positive=True).value < 0.7


def test_table4_stands_beside_the_papers_and_scores_no_film_twice(
    tiny_data: Path, tmp_path: Path, scored: list[Film]
) -> None:
    """Own films stand beside the paper's open test split; a second run reads the scores."""
    run = Run(name="table4", data=tiny_data, models=registry.DEFAULT, out=tmp_path / "out",
              docs=tmp_path / "docs", config={"most": 1000})  # fmt: skip
    text = write(run, table4(run))
    once = len(scored)
    assert "| 2 | own test split, NIH alone | 2 / 2 | 1.000 (1.000 to 1.000) |" in text
    assert "96.72 / 92.85 / 90.05" in text
    assert "88.04 / 85.26 / 85.86" in text
    assert write(run, table4(run)) == text
    assert len(scored) == once
    assert _numbers(run)["stage 2, own test split, NIH alone"]["auc"]["value"] == 1.0


def test_table5_tells_what_was_gained_and_forgotten(tiny: Callable[..., Run]) -> None:
    """Every fine-tuned network stands beside the one it came from, and a second run resumes."""
    tunes = settings.read(settings.CONFIGS / "experiments" / "table5.yaml")["tunes"]
    kept = {name: tunes[name] for name in ("lambda0", "lambda4")}
    run = tiny("table5", tunes=kept, schedule=_schedule(batch=12))
    text = write(run, table5(run))
    assert "| before |" in text
    assert "93.94 / 96.72" in text
    assert "98.70 / 96.64" in text
    assert "--lungs FILE --pneumonia FILE" in text
    assert write(run, table5(run)) == text
    assert (run.docs / "table5.svg").exists()
    numbers = _numbers(run)
    assert numbers["before"]["moved"]["value"] == numbers["lambda0"]["kept"]["value"] == 0.0
    assert 0.0 < numbers["lambda4"]["moved"]["value"] < numbers["lambda0"]["moved"]["value"] * 2
