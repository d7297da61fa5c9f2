"""What a cascade makes of a film on the way to its answers: for asking what it has learned."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from models import cascade as steps
from models import preprocess
from models.cascade import Cascade
from train.data.films import Film, load_pixels
from train.evaluation.evaluate import fingerprint

THUMBNAIL = 32  # pixels; enough to separate sources, too few to see a disease
SEEN_BY = ("lungs", "pneumonia")  # the networks that traits hang on; stage 3 may change
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Of many films, a row each."""

    cut: Floats  # thumbnail of the film with the lungs cut out
    masked: Floats  # thumbnail of the masked film
    features: Floats  # stage 2's pooled features of the masked film, (N, 1024)
    gated: Floats  # stage 2's pooled features of x ⊙ H2 (eq. 3), (N, 1024)


def traits(cascade: Cascade, films: Sequence[Film], folder: Path) -> Traits:
    """Compute them, or read them from ``folder``, where each film is kept as it is done."""
    kept = folder / f"traits-{fingerprint(cascade, (sys.modules[__name__],), SEEN_BY)}"
    kept.mkdir(parents=True, exist_ok=True)
    rows = [_of_film(cascade, film, kept) for film in track(films, "traits")]
    names = Traits.__dataclass_fields__
    return Traits(**{name: np.stack([row[name] for row in rows]) for name in names})


def masked(cascade: Cascade, film: Film) -> tuple[Tensor, Tensor, Tensor]:
    """The film, its lung field and the masked film, each (1, 1, S, S)."""
    settings = cascade.settings
    pixels, frame = preprocess.to_network(load_pixels(film.path), settings.size)
    x, area = torch.from_numpy(pixels)[None, None], preprocess.film_area(frame)
    lungs = steps.lung_masks(steps.stage1(cascade.lungs, x), [area], settings.lung_threshold)
    return x, steps.field_of(lungs), steps.masked(x, lungs, settings.mask_margin, [area])


@torch.inference_mode()
def _of_film(cascade: Cascade, film: Film, folder: Path) -> dict[str, Floats]:
    name = hashlib.sha256(str(film.path.resolve()).encode()).hexdigest()[:16]
    path = folder / f"{name}.npz"
    if path.exists():
        with np.load(path) as found:
            return dict(found)
    x, field, x_masked = masked(cascade, film)
    outside = 1.0 - preprocess.dilate(field, cascade.settings.mask_margin or 0)
    _, h2 = steps.stage2(cascade.pneumonia, x_masked, field, cascade.settings.h2)
    row = {
        "cut": _thumbnail(x * outside),
        "masked": _thumbnail(x_masked),
        "features": _pooled(cascade, x_masked),
        "gated": _pooled(cascade, preprocess.gate(x_masked, h2)),
    }
    unfinished = path.with_suffix(".tmp.npz")
    np.savez(unfinished, **row)  # type: ignore[arg-type]  # arrays by name
    unfinished.replace(path)
    return row


def _pooled(cascade: Cascade, x: Tensor) -> Floats:
    return np.asarray(cascade.pneumonia.features(x).mean((2, 3))[0].numpy(), np.float64)


def _thumbnail(x: Tensor) -> Floats:
    small = functional.interpolate(x, (THUMBNAIL, THUMBNAIL), mode="bilinear", antialias=True)
    return np.asarray(small.flatten().numpy(), np.float64)
