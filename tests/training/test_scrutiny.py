"""Whether the lungs were read or the data set: the measures themselves."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from support.fake_networks import reading_cascade

from models.cascade import Cascade
from train.data.films import read_films
from train.evaluation import bias_probes, cached_features, linear, metrics, paper, results_page
from train.evaluation.comparisons import COMPARISONS, Row
from train.evaluation.depth import look_deeper
from train.evaluation.tables import Results, measure


@pytest.fixture
def cascade() -> Cascade:
    """Networks that read the drawn films."""
    return reading_cascade()


def test_no_film_is_scored_by_a_regression_that_saw_its_patient() -> None:
    """What only identifies the patient helps nothing; what shows the disease does."""
    rng = np.random.default_rng(0)
    groups = [f"p{i // 2}" for i in range(60)]
    positive = np.array([i // 2 % 3 == 0 for i in range(60)])
    patient = np.repeat(rng.normal(size=(30, 60)), 2, axis=0)  # the same for both films
    blind = linear.cross_validated(patient, positive, groups, ridge=0.1)
    assert metrics.auc(linear.fit(patient, positive).score(patient), positive) == 1.0
    assert metrics.auc(blind, positive) < 0.8
    shown = positive[:, None] + rng.normal(0, 0.1, (60, 1))
    assert metrics.auc(linear.cross_validated(shown, positive, groups), positive) == 1.0


def test_the_regression_minimises_what_its_docstring_says() -> None:
    """At the fit, the gradient of weighted log loss and penalty vanishes."""
    rng = np.random.default_rng(1)
    x, weights, ridge = rng.normal(2.0, 3.0, (80, 5)), rng.uniform(0.5, 2.0, 80), 0.05
    positive = x[:, 0] + rng.normal(0, 3, 80) > 2.0
    line = linear.fit(x, positive, ridge, weights)
    off = weights / weights.sum() * (1 / (1 + np.exp(-line.score(x))) - positive)
    slope = ((x - line.mean) / line.deviation).T @ off + ridge * line.weights
    assert np.abs(slope).max() < 1e-4
    assert abs(off.sum()) < 1e-4


def test_calibration_of_what_is_true_is_zero() -> None:
    """The opposite has an error of one; parts are equal; the ROC runs from corner to corner."""
    truth = np.arange(40) % 5 < 3
    sure: metrics.Floats = truth.astype(np.float64)
    assert metrics.expected_calibration_error(sure, truth) == 0.0
    assert metrics.expected_calibration_error(1.0 - sure, truth) == 1.0
    assert metrics.brier(np.full(40, 0.5), truth) == 0.25
    assert [part.films for part in metrics.calibration(truth.astype(float), truth)] == [8] * 5
    false, true = metrics.roc(truth.astype(float), truth)
    assert (false.tolist(), true.tolist()) == ([0, 0, 1], [0, 1, 1])


def test_a_tenth_of_the_lungs_is_taken_away_where_it_is_hottest() -> None:
    """And nothing outside them, however hot."""
    x, lungs = torch.ones(1, 1, 20, 20), torch.zeros(1, 1, 20, 20)
    lungs[..., :10, :] = 1
    heat = torch.arange(400.0).view(1, 1, 20, 20)
    left = bias_probes.without(x, heat, lungs)
    assert left[..., 9, :].sum() == 0
    assert left.sum() == 380


def test_traits_are_kept_film_by_film(cascade: Cascade, tiny_data: Path, tmp_path: Path) -> None:
    """A second look computes nothing; what is cut out and what is left are not the same."""
    films = read_films(tiny_data, ("test",))[:2]
    first = cached_features.traits(cascade, films, tmp_path)
    cascade.pneumonia = None  # type: ignore[assignment]
    again = cached_features.traits(cascade, films, tmp_path)
    assert np.array_equal(first.features, again.features)
    assert first.gated.shape == (2, 1024)
    assert not np.array_equal(first.cut, first.masked)


def test_results_are_written_with_plots_and_numbers(
    cascade: Cascade, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one command: the page, its plots, the same numbers for machines."""
    monkeypatch.setattr(metrics, "bootstrap", partial(metrics.bootstrap, draws=10))
    work, docs = tmp_path / "work", tmp_path / "docs"
    depth = look_deeper(cascade, tiny_data, work)
    page = results_page.write(measure(cascade, tiny_data, work), depth, docs, "train evaluate X")
    assert "not a medical device" in page
    assert "`train evaluate X`" in page
    assert "border ring" in page
    assert page.index("What was to be reached") < page.index("Within one source first")
    assert "| 4, open | 2 | 0.9672 / 0.9285 / 0.9005 |" in page
    cascade.lungs = cascade.pneumonia = None  # type: ignore[assignment]
    assert look_deeper(cascade, tiny_data, work) == depth  # all of it from disk
    made = {path.name for path in (docs / "results").iterdir()}
    assert made == {"roc.svg", "reliability.svg", "evaluate.json"}
    assert (docs / "RESULTS.md").read_text() == page


def _interval(value: float) -> metrics.Interval:
    return metrics.Interval(value=value, low=value - 0.05, high=value + 0.05)


def test_it_is_said_plainly_where_ours_is_worse(tmp_path: Path) -> None:
    """Below the paper's figure is worse; above the ring only where the intervals are apart."""
    stage2, stage3 = (
        Row(name=name, negatives=9, positives=9, auc=_interval(auc), sensitivity=None,
            specificity=None, ring=None)
        for name, auc in (
            ("NIH, radiologists: normal / opacity", 0.85),
            ("NIH pneumonia / ieee8023 COVID-19", 0.95),
        )
    )  # fmt: skip
    results = Results(version="0", digests={}, dice={}, pneumonia=[stage2], covid19=[stage3])
    folds = [
        bias_probes.CrossValidated(
            name=name, negatives=9, positives=9, auc=_interval(0.75), ring=_interval(border)
        )
        for name, border in (("low ring", 0.6), ("high ring", 0.68))
    ]
    text = paper.beside(results, folds, tmp_path)
    assert "Table 4, open, stage 2: our AUC is worse than the paper's by 0.117." in text
    assert "Table 4, open, stage 3: our AUC is not below the paper's." in text
    assert "which is above the border ring's 0.600" in text
    assert "which is not shown to be above the border ring's 0.680" in text


def test_every_paper_row_that_has_one_of_ours_finds_it() -> None:
    """The names in the paper's table are those of the comparisons."""
    for one in paper.FIGURES:
        found = [c for c in COMPARISONS if c.stage == one.stage and c.name.startswith(one.ours)]
        assert len(found) == 1 or not one.ours
