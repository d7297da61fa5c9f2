"""Features of stage 2's network on films gated by variants of H2: the input of stage 3."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from models import cam, preprocess
from models.classifier import ChestClassifier
from train.data.films import Film
from train.evaluation import linear
from train.files import kept_array
from train.stages.masked import Masking
from train.stages.shown import masked_films, shrink
from train.stages.stage2_pneumonia import data_cache
from train.weights import frozen_classifier

Floats = NDArray[np.float64]

#: What the masked film is multiplied with before stage 3: paper eq. 3 with three readings of H2.
GATES = ("CAM", "eq. 1 to the letter", "none")

#: In place of a fold (0, 1, ...), see `held_out`.
LEARNED, TESTED, UNUSED = -1, -2, -3


def features(films: Sequence[Film], masking: Masking, stage2: Path, size: int) -> dict[str, Floats]:
    """Pooled features of films under each of `GATES`, by stage 2's network.

    Kept on disk beside stage 2's weights, for the next experiment that wants these films.

    Parameters
    ----------
    films
        N films.
    masking
        Stage 1 and how films are masked.
    stage2
        Weights of stage 2.
    size
        Side at which the network sees the films, pixels.

    Returns
    -------
    dict
        Each of `GATES` -> (N, 1024).
    """
    digest = hashlib.sha256(stage2.read_bytes() + masking.weights.read_bytes())
    digest.update(f"{size} {masking.size} {masking.margin}".encode())
    digest.update(" ".join(str(film.path) for film in films).encode())

    def make() -> NDArray[np.float32]:
        x = shrink(masked_films(films, masking, data_cache(masking)), size)
        network = frozen_classifier(stage2)
        rows = [_gated(network, film[None].float()) for film in track(x, "features")]
        return np.stack(rows, axis=1)

    kept = kept_array(stage2.parent / "cache" / f"features-{digest.hexdigest()[:16]}.npy", make)
    return dict(zip(GATES, kept.astype(np.float64), strict=True))


@torch.inference_mode()
def _gated(network: ChestClassifier, x: torch.Tensor) -> NDArray[np.float32]:
    """One film (1, 1, S, S) under each gate: (3, 1024)."""
    maps, seen, size = network.features(x), x != 0, x.shape[-1]
    heat = (
        cam.class_activation_map(maps, network.class_weight, size, seen=seen),
        cam.paper_eq1(maps.mean((2, 3)), size, seen=seen),
    )
    gated = [network.features(preprocess.gate(x, h2)) for h2 in heat]
    return torch.cat([one.mean((2, 3)) for one in (*gated, maps)]).numpy()


def folds(groups: Sequence[str], count: int, seed: int) -> NDArray[np.intp]:
    """Deal patients to folds, at random.

    Parameters
    ----------
    groups
        The patient of each film: (N,).
    count
        Number of folds.
    seed
        Of the deal.

    Returns
    -------
    array
        The fold of each film, from 0 to ``count`` - 1: (N,).
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    dealt = np.random.default_rng(seed).permutation(len(names)) % count
    return np.asarray(dealt[member], np.intp)


def held_out(
    x: Floats, positive: NDArray[np.bool_], fold: NDArray[np.intp], ridge: float
) -> Floats:
    """Score films by regressions that were fitted without their patient.

    Parameters
    ----------
    x
        Feature rows, (N, D).
    positive
        (N,).
    fold
        From 0 on, one at least: the film teaches all regressions but this one, which scores it.
        `TESTED`: it teaches none and gets their mean. `LEARNED`: it teaches all. `UNUSED`: none.
        (N,).
    ridge
        Strength of L2, see `linear.fit`.

    Returns
    -------
    array
        Logits, (N,); 0 for `LEARNED` and `UNUSED` films.
    """
    scores = np.zeros(len(x))
    count = int(fold.max()) + 1
    for k in range(count):
        learned = (fold >= LEARNED) & (fold != k)
        line = linear.fit(x[learned], positive[learned], ridge)
        scored = line.score(x)
        scores[fold == k] = scored[fold == k]
        scores[fold == TESTED] += scored[fold == TESTED] / count
    return scores
