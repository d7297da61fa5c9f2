"""The border-ring baseline: the scores of a classifier that never sees the chest.

A logistic regression on the outer pixels of a thumbnail. Where it scores high, disease and source
are confounded, and a network's high score on the same films proves little.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from train.data.films import Film, load_pixels
from train.evaluation import linear

SIDE, WIDTH = 32, 4  # of the thumbnail, and of the ring; pixels


@lru_cache(maxsize=4096)  # a film stands in several comparisons
def ring(path: Path) -> NDArray[np.float64]:
    """The outer `WIDTH` pixels of a film's `SIDE` x `SIDE` thumbnail, in [0, 1]: (448,)."""
    film = torch.from_numpy(load_pixels(path))[None, None]
    small = functional.interpolate(film, (SIDE, SIDE), mode="bilinear", antialias=True)[0, 0]
    border = np.ones((SIDE, SIDE), np.bool_)
    border[WIDTH:-WIDTH, WIDTH:-WIDTH] = False
    return np.asarray(small.numpy()[border], np.float64)


def ring_scores(
    train: Sequence[Film], positive: NDArray[np.bool_], test: Sequence[Film]
) -> NDArray[np.float64]:
    """Fit the baseline on some films and score others.

    Parameters
    ----------
    train
        Films to fit on; both classes weigh the same.
    positive
        Which of them are positive, some but not all: (N,).
    test
        Films to score.

    Returns
    -------
    array
        Logits, one for each film of ``test``.
    """
    line = linear.fit(np.stack([ring(film.path) for film in train]), positive)
    return line.score(np.stack([ring(film.path) for film in test]))
