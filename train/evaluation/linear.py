"""Logistic regression with even classes: the plain yardstick beside the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A fitted regression on standardised features."""

    mean: Floats
    deviation: Floats
    weights: Floats  # one for each feature
    bias: float

    def score(self, x: Floats) -> Floats:
        """Logits of feature rows (N, D): (N,)."""
        return np.asarray((x - self.mean) / self.deviation @ self.weights + self.bias)


def fit(
    x: Floats,
    positive: NDArray[np.bool_],
    ridge: float = 0.01,
    weights: Floats | None = None,
) -> Line:
    """Fit feature rows (N, D); ``ridge`` is the L2 penalty.

    Without ``weights`` (N,) both classes weigh the same.
    """
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    x1 = np.column_stack([(x - mean) / deviation, np.ones(len(x))])
    sign = np.where(positive, 1.0, -1.0)
    if weights is None:
        weights = np.where(positive, 1.0 / positive.sum(), 1.0 / (~positive).sum())
    weight = weights / weights.sum()

    def loss(w: Floats) -> tuple[float, Floats]:
        z = sign * (x1 @ w)
        slope = -weight * sign / (1.0 + np.exp(np.clip(z, -500, 500)))
        penalty = 0.5 * ridge * w[:-1] @ w[:-1]
        gradient = x1.T @ slope + ridge * np.append(w[:-1], 0.0)
        return float((weight * np.logaddexp(0.0, -z)).sum() + penalty), gradient

    found = optimize.minimize(loss, np.zeros(x1.shape[1]), jac=True, method="L-BFGS-B").x
    return Line(mean=mean, deviation=deviation, weights=found[:-1], bias=float(found[-1]))


def cross_validated(
    x: Floats,
    positive: NDArray[np.bool_],
    groups: Sequence[str],
    *,
    ridge: float = 0.01,
    folds: int = 5,
) -> Floats:
    """Logits of every row by a regression that saw nobody of its group: (N,)."""
    fold = folds_of(groups, positive, folds)
    scores = np.empty(len(x))
    for k in range(folds):
        scores[fold == k] = fit(x[fold != k], positive[fold != k], ridge).score(x[fold == k])
    return scores


def folds_of(
    groups: Sequence[str], positive: NDArray[np.bool_], folds: int, seed: int = 0
) -> NDArray[np.intp]:
    """Deal whole groups to folds, each class evenly: (N,) of 0 ... folds - 1."""
    ill = {group for group, flag in zip(groups, positive, strict=True) if flag}
    rng = np.random.default_rng(seed)
    place: dict[str, int] = {}
    for side in (sorted(ill), sorted(set(groups) - ill)):
        for i, j in enumerate(rng.permutation(len(side))):
            place[side[j]] = i % folds
    return np.array([place[group] for group in groups])
