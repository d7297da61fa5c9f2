"""Logistic regression with even classes: the plain yardstick beside the networks."""

from __future__ import annotations

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
