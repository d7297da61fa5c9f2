"""A cascade's intermediate features of films, to probe what it has learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models import preprocess, steps
from models.cascade import Cascade
from train.data.films import Film, load_pixels
from train.evaluation import store
from train.evaluation.store import Arrays, Measure

THUMBNAIL = 32  # pixels; enough to separate sources, too few to see a disease
_TRAITS = Measure(name="traits", version=1, networks=("lungs", "pneumonia"))
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The features of many films, one row each."""

    cut: Floats  # thumbnail of the film with the lungs cut out
    masked: Floats  # thumbnail of the masked film
    features: Floats  # stage 2's pooled features of the masked film, (N, 1024)
    gated: Floats  # stage 2's pooled features of x ⊙ H2 (eq. 3), (N, 1024)


def traits(cascade: Cascade, films: Sequence[Film], folder: Path) -> Traits:
    """Compute the traits of films, in order, or read those that ``folder`` holds."""
    rows = store.arrays(_TRAITS, cascade, [film.path for film in films], _of_film, folder)
    return Traits(**{one.name: np.stack([row[one.name] for row in rows]) for one in fields(Traits)})


@torch.inference_mode()
def _of_film(cascade: Cascade, path: Path) -> Arrays:
    settings, seen = cascade.settings, cascade.mask(load_pixels(path))
    outside = 1.0 - preprocess.dilate(seen.field, settings.mask_margin or 0)
    _, h2 = steps.stage2(cascade.pneumonia, seen.masked, seen.field, settings.h2)
    return {
        "cut": _thumbnail(seen.x * outside),
        "masked": _thumbnail(seen.masked),
        "features": _pooled(cascade, seen.masked),
        "gated": _pooled(cascade, preprocess.gate(seen.masked, h2, cascade.settings.h2_floor)),
    }


def _pooled(cascade: Cascade, x: Tensor) -> Floats:
    return np.asarray(cascade.pneumonia.features(x).mean((2, 3))[0].numpy(), np.float64)


def _thumbnail(x: Tensor) -> Floats:
    small = functional.interpolate(x, (THUMBNAIL, THUMBNAIL), mode="bilinear", antialias=True)
    return np.asarray(small.flatten().numpy(), np.float64)
