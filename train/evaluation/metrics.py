"""Numbers about decisions: AUC, sensitivity, specificity, their intervals, calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from dicom_node.domain.performance import Bools, Floats, Interval, auc, wilson

__all__ = ["Bools", "Floats", "Interval", "auc"]

_PARTS = 5  # of the reliability diagram


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Films of similar probability: the mean probability, and the share that is positive."""

    said: float
    true: float
    films: int


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float], groups: Sequence[str], *, draws: int = 2000
) -> Interval:
    """95 % percentile interval from draws of whole patients.

    Parameters
    ----------
    statistic
        Takes indices of films, some of them more than once; draws for which it is nan do not count.
    groups
        The patient of each film: (N,).
    draws
        Number of draws; their seed is fixed.

    Returns
    -------
    Interval
        Its value is the statistic of all films.
    """
    values = [statistic(films) for films in resampled(groups, draws)]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    whole = statistic(np.arange(len(groups)))
    return Interval(value=whole, low=float(low), high=float(high))


def mirrored(
    statistic: Callable[[NDArray[np.intp]], float], groups: Sequence[str], *, draws: int = 2000
) -> Interval:
    """Bootstrap of a statistic that is never negative and biased upwards, as a calibration error.

    Parameters are those of `bootstrap`.

    Returns
    -------
    Interval
        Clipped at 0. Its value is corrected for the bias, too.

    Notes
    -----
    A draw exceeds the sample by as much as the sample exceeds the truth. So value and interval are
    mirrored at the sample: 2 x sample - median and percentiles of the draws (basic bootstrap,
    Davison & Hinkley 1997, section 5.2; for calibration errors Kumar, Liang and Ma 2019).
    """
    values = [statistic(films) for films in resampled(groups, draws)]
    whole = statistic(np.arange(len(groups)))
    high, middle, low = np.nanpercentile(values, [2.5, 50.0, 97.5])
    value, low, high = (max(0.0, float(2 * whole - one)) for one in (middle, low, high))
    return Interval(value=value, low=low, high=high)


def share(hits: Bools, groups: Sequence[str]) -> Interval:
    """Share of hits with Wilson's score interval over patients, see `wilson`.

    Parameters
    ----------
    hits, groups
        One value for each of N >= 1 films; the group is its patient.
    """
    return wilson(int(hits.sum()), groups)


def resampled(groups: Sequence[str], draws: int) -> Iterator[NDArray[np.intp]]:
    """Draw whole patients with replacement, as many as there are, with a fixed seed.

    Parameters
    ----------
    groups
        The patient of each film: (N,).
    draws
        Number of draws.

    Yields
    ------
    array
        Indices of the drawn patients' films.
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    films = [np.flatnonzero(member == i) for i in range(len(names))]
    rng = np.random.default_rng(0)
    for _ in range(draws):
        yield np.concatenate([films[i] for i in rng.integers(len(films), size=len(films))])


def balanced_threshold(probabilities: Floats, positive: Bools, weights: Floats) -> float:
    """Find the threshold whose lesser one of weighted sensitivity and specificity is largest.

    Of thresholds that are alike in this, those with the largest sum of both count, and of these the
    middle.

    Parameters
    ----------
    probabilities, positive, weights
        One value for each film, (N,); both sides must have films.

    Returns
    -------
    float
        In [0.01, 0.99].
    """
    edges = np.unique(probabilities)
    candidates = (edges[1:] + edges[:-1]) / 2 if len(edges) > 1 else edges
    called = probabilities >= candidates[:, None]
    found = called @ (weights * positive) / weights[positive].sum()
    spared = ~called @ (weights * ~positive) / weights[~positive].sum()
    lesser, both = np.minimum(found, spared).round(9), (found + spared).round(9)
    best = lesser == lesser.max()
    best &= both == both[best].max()
    low, high = candidates[best][[0, -1]]
    return float(np.clip((low + high) / 2, 0.01, 0.99))


def steady_threshold(
    probabilities: Floats,
    positive: Bools,
    weights: Floats,
    groups: Sequence[str],
    *,
    draws: int = 2000,
) -> float:
    """Average `balanced_threshold` over draws of whole patients.

    With few films the optimum is flat and one film moves it far; the average of many draws hardly
    moves with one film (bagging: Breiman 1996).

    Parameters
    ----------
    probabilities, positive, weights
        As `balanced_threshold`.
    groups
        The patient of each film: (N,).
    draws
        Number of draws; one that lacks a side does not count.
    """
    both = (i for i in resampled(groups, draws) if positive[i].any() and not positive[i].all())
    found = [balanced_threshold(probabilities[i], positive[i], weights[i]) for i in both]
    return float(np.mean(found))


def even_weights(keys: Sequence[tuple[object, ...]]) -> Floats:
    """Weights (N,) that give every key the same total, however many films it has."""
    counts: dict[tuple[object, ...], int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    return np.array([1.0 / counts[key] for key in keys])


def brier(probabilities: Floats, positive: Bools) -> float:
    """Brier score: mean squared difference of probability and truth, in [0, 1]; 0 is best."""
    return float(((probabilities - positive) ** 2).mean())


def calibration(probabilities: Floats, positive: Bools) -> list[Bin]:
    """Divide films, in order of probability, into at most `_PARTS` parts of equal size.

    A few parts only: with few films the noise in each part looks like an error. Scikit-learn's
    `calibration_curve` does not return the sizes, which the error needs.

    Parameters
    ----------
    probabilities, positive
        One value for each of N >= 1 films.
    """
    order = np.argsort(probabilities, kind="stable")
    return [
        Bin(said=float(probabilities[part].mean()), true=float(positive[part].mean()),
            films=len(part))
        for part in np.array_split(order, min(_PARTS, len(order)))
        if len(part)
    ]  # fmt: skip


def expected_calibration_error(probabilities: Floats, positive: Bools) -> float:
    """ECE: mean gap between stated probability and observed share over `calibration`'s parts.

    Noise only ever adds to it; `mirrored` gives it an interval.

    Parameters
    ----------
    probabilities, positive
        One value for each of N >= 1 films.

    Returns
    -------
    float
        In [0, 1].
    """
    parts = calibration(probabilities, positive)
    return sum(part.films * abs(part.said - part.true) for part in parts) / len(probabilities)


def roc(scores: Floats, positive: Bools) -> tuple[Floats, Floats]:
    """The ROC curve, a step for each distinct score.

    Parameters
    ----------
    scores, positive
        One value for each film, (N,); both sides must have films.

    Returns
    -------
    false, true : array
        Rates of false and true positives, from (0, 0) to (1, 1).
    """
    false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
    return false, true
