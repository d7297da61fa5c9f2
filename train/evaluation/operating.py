"""Operating points and calibration of a classifier, from validation films."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from scipy.optimize import minimize

from models.cascade import Cascade
from models.manifest import Manifest, NormalsAbove
from models.thresholds import PointName
from train.data.films import NORMAL, Film, read_films
from train.evaluation import metrics
from train.evaluation.evaluate import Prediction, predict

#: What `sensitive` finds of the ill films, and `specific` leaves of the well ones.
SENSITIVE = SPECIFIC = 0.95
#: Prevalence that probabilities are calibrated for: as many ill films as well ones.
PREVALENCE = 0.5


def fit(
    predictions: Sequence[Prediction],
    logits: Sequence[float],
    ill: Callable[[Film], bool],
    *,
    also: Sequence[Prediction] = (),
) -> dict[str, object]:
    """Find temperature, bias and thresholds from validation films.

    Every label of every source weighs the same, then both sides do.

    Parameters
    ----------
    predictions
        The films; both sides must have some.
    logits
        Of the stage, one for each prediction.
    ill
        Whether the stage should be positive.
    also
        Films of other sources from which stage 2's temperature is found, too: a few films that a
        network separates almost wholly would make it too sure of itself.

    Returns
    -------
    dict
        Fields of `models.manifest.Classifier`, rounded to 4 digits. ``threshold`` (balanced)
        has the largest minimum of sensitivity and specificity, steadied over draws of patients;
        `sensitive` is the highest threshold that `SENSITIVE` of the ill films reach, `specific` the
        lowest that `SPECIFIC` of the others stay below. `sensitive` is never above `balanced`,
        `specific` never below.
    """
    films, values = [p.film for p in predictions], np.array(logits)
    positive, weights = _sides(films, ill)
    known = None
    if also:
        more = np.concatenate([values, [p.pneumonia for p in also]])
        known, _ = calibrate(more, *_sides([*films, *(p.film for p in also)], ill))
    temperature, bias = calibrate(values, positive, weights, known)
    probabilities = 1.0 / (1.0 + np.exp(-(values + bias) / temperature))
    groups = [film.group for film in films]
    threshold = metrics.steady_threshold(probabilities, positive, weights, groups)
    found = float(np.quantile(probabilities[positive], 1.0 - SENSITIVE))
    left = float(np.quantile(probabilities[~positive], SPECIFIC))
    points = {
        "balanced": _inside(threshold),
        "sensitive": _inside(min(found, threshold)),
        "specific": _inside(max(left, threshold)),
    }
    return {
        "threshold": points["balanced"],
        "temperature": round(temperature, 4),
        "bias": round(bias, 4),
        "prevalence": PREVALENCE,
        "points": {name: points[name] for name in ("sensitive", "specific")},
    }


def with_normals_above(manifest: Manifest, data: Path, cascade: Cascade, folder: Path) -> Manifest:
    """Add the share of normal test films of NIH at or above each operating point of stage 2.

    The thresholds come from validation films, on which this share would flatter them.

    Parameters
    ----------
    manifest
        Its thresholds are measured.
    data
        Folder with films and manifest; without such films the shares are None.
    cascade
        The networks of ``manifest``.
    folder
        Keeps the scores of each film, see `store`.
    """
    films = [f for f in read_films(data, ("test",)) if (f.source, f.label) == ("nih", NORMAL)]
    entry = manifest.networks.pneumonia
    point = cascade.settings.pneumonia
    said = [point.decide(p.pneumonia).probability for p in predict(cascade, films, folder)]
    above = {
        name: round(float(np.mean(np.array(said) >= entry.threshold_at(name))), 4) if said else None
        for name in get_args(PointName)
    }
    entry = entry.model_copy(update={"normals_above": NormalsAbove(**above)})
    networks = manifest.networks.model_copy(update={"pneumonia": entry})
    return manifest.model_copy(update={"networks": networks})


def _sides(
    films: Sequence[Film], ill: Callable[[Film], bool]
) -> tuple[metrics.Bools, metrics.Floats]:
    """Which films are ill, and the weight of each: (N,) both."""
    positive = np.array([ill(film) for film in films], np.bool_)
    weights = metrics.even_weights([(film.label, film.source) for film in films])
    return positive, balanced(weights, positive)


def balanced(weights: metrics.Floats, positive: metrics.Bools) -> metrics.Floats:
    """Scale the weights (N,) so that both sides have the same total, and all of them sum to 1."""
    both = np.where(positive, weights / weights[positive].sum(), weights / weights[~positive].sum())
    return np.asarray(both / both.sum(), np.float64)


def calibrate(
    logits: metrics.Floats,
    positive: metrics.Bools,
    weights: metrics.Floats,
    temperature: float | None = None,
) -> tuple[float, float]:
    """Find temperature and bias of the least cross-entropy: sigmoid((logit + bias) / temperature).

    Parameters
    ----------
    logits, positive, weights
        One value for each film, (N,); both sides must have films.
    temperature
        If it is known; then only the bias is found.

    Returns
    -------
    temperature : float
        Between an eighth and four times the deviation of the logits, if it was not known.
    bias : float
        In logits.
    """
    spread = float(logits.std()) or 1.0
    least, most = (spread / 8, spread * 4) if temperature is None else (temperature, temperature)

    def loss(parameters: metrics.Floats) -> float:
        z = (logits + parameters[1]) / np.exp(parameters[0])
        return float((weights * (np.logaddexp(0.0, z) - z * positive)).sum())

    best = minimize(
        loss,
        np.array([np.log(np.clip(spread, least, most)), 0.0]),
        bounds=[(np.log(least), np.log(most)), (None, None)],
    )
    return float(np.exp(best.x[0])), float(best.x[1])


def _inside(threshold: float) -> float:
    """Round to what the manifest holds, strictly between 0 and 1."""
    return float(np.clip(round(threshold, 4), 0.0001, 0.9999))
