"""Calibration errors, reliability diagrams and ROC curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.cascade import Settings
from train.evaluation import metrics, plots
from train.evaluation.comparisons import Comparison
from train.evaluation.evaluate import Prediction
from train.evaluation.metrics import Bin, Interval
from train.evaluation.operating import PREVALENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibration of the probabilities of one comparison."""

    stage: int
    name: str
    ece: Interval
    brier: Interval
    bins: list[Bin]
    false_positive_rate: list[float]
    true_positive_rate: list[float]


def calibrate(
    comparison: Comparison, predictions: Sequence[Prediction], settings: Settings
) -> Calibration:
    """Measure the calibration of one comparison, at the share of ill among its films.

    The probabilities speak of `PREVALENCE`; they are moved from there by Bayes' rule, as
    `models.prevalence` does at a site.

    Parameters
    ----------
    comparison
        Must have films of both sides among the predictions.
    predictions
        Films and logits; those that the comparison does not name are left out.
    settings
        The operating point that makes logits probabilities.
    """
    chosen, positive = comparison.sides([p.film for p in predictions])
    kept = [predictions[i] for i in chosen]
    at = comparison.at(settings).moved(PREVALENCE, float(positive.mean()))
    logits = comparison.logits(kept)
    says = np.array([at.decide(float(logit)).probability for logit in logits])
    groups = [p.film.group for p in kept]

    def ece(i: NDArray[np.intp]) -> float:
        return metrics.expected_calibration_error(says[i], positive[i])

    false, true = metrics.roc(logits, positive)
    return Calibration(
        stage=comparison.stage,
        name=comparison.name,
        ece=metrics.mirrored(ece, groups),
        brier=metrics.bootstrap(lambda i: metrics.brier(says[i], positive[i]), groups),
        bins=metrics.calibration(says, positive),
        false_positive_rate=false.tolist(),
        true_positive_rate=true.tolist(),
    )


def draw(found: Sequence[Calibration], folder: Path) -> None:
    """Write ``roc.svg`` and ``reliability.svg`` into ``folder``, one panel for each stage."""
    for name, axes, curve in (
        ("roc", ("1 - specificity", "sensitivity"), _roc),
        ("reliability", ("probability said", "share positive"), _reliability),
    ):
        figure = Figure(figsize=(9, 4.5), layout="constrained")
        for panel, stage in zip(figure.subplots(1, 2), (2, 3), strict=True):
            panel.plot([0, 1], [0, 1], color="0.8")
            for one in (each for each in found if each.stage == stage):
                panel.plot(*curve(one), label=one.name, marker="o" * (name != "roc"), markersize=3)
            panel.set(title=f"stage {stage}", xlabel=axes[0], ylabel=axes[1])
            panel.legend(fontsize="x-small", loc="lower right")
        plots.save(figure, folder / f"{name}.svg")


def _roc(one: Calibration) -> tuple[list[float], list[float]]:
    return one.false_positive_rate, one.true_positive_rate


def _reliability(one: Calibration) -> tuple[list[float], list[float]]:
    return [part.said for part in one.bins], [part.true for part in one.bins]
