"""The border-ring baseline: how far one gets without looking at the chest.

A logistic regression on the outer pixels of a thumbnail. Where it scores high, disease and source
are entangled, and a network's high score on the same films proves little.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize
from torch.nn import functional

from train.data import Film, load_pixels

SIDE, WIDTH = 32, 4  # of the thumbnail, and of the ring; pixels


@lru_cache(maxsize=4096)  # a film stands in several comparisons
def ring(path: Path) -> NDArray[np.float64]:
    """Cut out the outer `WIDTH` pixels of a film's `SIDE` x `SIDE` thumbnail, flat."""
    film = torch.from_numpy(load_pixels(path))[None, None]
    small = functional.interpolate(film, (SIDE, SIDE), mode="bilinear", antialias=True)[0, 0]
    border = np.ones((SIDE, SIDE), np.bool_)
    border[WIDTH:-WIDTH, WIDTH:-WIDTH] = False
    return np.asarray(small.numpy()[border], np.float64)


def ring_scores(
    train: Sequence[Film], positive: NDArray[np.bool_], test: Sequence[Film]
) -> NDArray[np.float64]:
    """Fit on ``train`` (both classes weigh the same), score ``test``."""
    x = np.stack([ring(film.path) for film in train])
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    coefficients = _logistic((x - mean) / deviation, positive)
    seen = (np.stack([ring(film.path) for film in test]) - mean) / deviation
    return np.asarray(seen @ coefficients[:-1] + coefficients[-1])


def _logistic(
    x: NDArray[np.float64], positive: NDArray[np.bool_], ridge: float = 0.01
) -> NDArray[np.float64]:
    sign = np.where(positive, 1.0, -1.0)
    weight = np.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum())
    x1 = np.column_stack([x, np.ones(len(x))])

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = sign * (x1 @ w)
        slope = -weight * sign / (1.0 + np.exp(np.clip(z, -500, 500)))
        penalty = 0.5 * ridge * w[:-1] @ w[:-1]
        gradient = x1.T @ slope + ridge * np.append(w[:-1], 0.0)
        return float((weight * np.logaddexp(0.0, -z)).sum() + penalty), gradient

    found = optimize.minimize(loss, np.zeros(x1.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x)
