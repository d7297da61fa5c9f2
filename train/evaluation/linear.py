"""Logistic regression on standardised features: the plain yardstick beside the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.float64]

_FOLDS = 5


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
    """Fit a logistic regression by the weighted mean of the log loss + ``ridge`` / 2 |w|².

    Parameters
    ----------
    x
        Feature rows, (N, D); they are standardised first, and the bias is not penalised.
    positive
        (N,), some but not all True.
    ridge
        Strength of L2, > 0.
    weights
        (N,), of any scale; without them both classes weigh the same.
    """
    if weights is None:
        weights = np.where(positive, 1.0 / positive.sum(), 1.0 / (~positive).sum())
    scaler = StandardScaler().fit(x)
    regression = LogisticRegression(C=1.0 / ridge, tol=1e-6, max_iter=10_000)
    regression.fit(scaler.transform(x), positive, sample_weight=weights / weights.sum())
    return Line(
        mean=scaler.mean_,
        deviation=scaler.scale_,
        weights=regression.coef_[0],
        bias=float(regression.intercept_[0]),
    )


def cross_validated(
    x: Floats,
    positive: NDArray[np.bool_],
    groups: Sequence[str],
    *,
    ridge: float = 0.01,
) -> Floats:
    """Score each row by a regression that was fitted without its group, in `_FOLDS` folds.

    Whole groups go to a fold; each fold has about the same share of positives.

    Parameters
    ----------
    x
        Feature rows, (N, D).
    positive, groups
        Class and patient of each row: (N,).
    ridge
        Strength of L2, see `fit`.

    Returns
    -------
    array
        Logits, (N,).
    """
    scores = np.empty(len(x))
    dealt = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    for learned, asked in dealt.split(x, positive, list(groups)):
        scores[asked] = fit(x[learned], positive[learned], ridge).score(x[asked])
    return scores
