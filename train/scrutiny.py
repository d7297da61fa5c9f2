"""What an AUC does not say: whether the network reads the lungs or the data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from models import cascade as steps
from models import preprocess, unet
from models.cascade import Cascade
from train import linear, metrics
from train.data import NORMAL, PNEUMONIA, Film, load_pixels
from train.metrics import Interval

_THUMBNAIL = 32  # pixels; enough to tell sources apart, too little to see a disease
_TILE = 32  # side of the squares that are removed at random, pixels of the network frame
_SHARE = 0.1  # of the lung field, removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """AUC of telling two sources apart by films of one label; 0.5 is blind to the source."""

    lungs_cut_out: Interval
    masked: Interval
    features: Interval
    films: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """Where stage 2 looks, and what it misses when that is taken away."""

    inside_lungs: Interval  # share of H2 inside the lung field, of the films called positive
    auc: Interval
    auc_without_hottest: Interval
    auc_without_random: Interval


@torch.inference_mode()
def source_probe(
    cascade: Cascade, films: Sequence[Film], sources: tuple[str, str] = ("nih", "ieee8023")
) -> Probe:
    """Tell two sources apart by their non-COVID pneumonia films, cross-validated by patient."""
    chosen = [f for f in films if f.source in sources and f.label == PNEUMONIA]
    rows: dict[str, list[NDArray[np.float64]]] = {"cut": [], "masked": [], "features": []}
    for film in track(chosen, "source probe"):
        x, lungs, x_masked = _masked(cascade, film)
        cut = x * (1.0 - preprocess.dilate(lungs, cascade.settings.mask_margin))
        rows["cut"].append(_thumbnail(cut))
        rows["masked"].append(_thumbnail(x_masked))
        pooled = cascade.pneumonia.features(x_masked).mean((2, 3))[0]
        rows["features"].append(np.asarray(pooled.numpy(), np.float64))
    other = np.array([film.source == sources[1] for film in chosen])
    groups = [film.group for film in chosen]

    def told(name: str) -> Interval:
        scores = linear.cross_validated(np.stack(rows[name]), other, groups)
        return metrics.bootstrap(lambda i: metrics.auc(scores[i], other[i]), groups)

    return Probe(
        lungs_cut_out=told("cut"),
        masked=told("masked"),
        features=told("features"),
        films=(int((~other).sum()), int(other.sum())),
    )


@torch.inference_mode()
def heat(cascade: Cascade, films: Sequence[Film]) -> Heat:
    """Take away the hottest tenth of each lung field, and a random tenth, and score again."""
    generator = torch.Generator().manual_seed(0)
    logits: list[list[float]] = []
    inside: list[float] = []
    for film in track(films, "heat"):
        _, lungs, x = _masked(cascade, film)
        logit, h2 = steps.stage2(cascade.pneumonia, x, cascade.settings.h2)
        if cascade.settings.pneumonia.decide(logit.item()).positive and h2.sum() > 0:
            inside.append(float((h2 * lungs).sum() / h2.sum()))
        noise = torch.rand(1, 1, h2.shape[-1] // _TILE, h2.shape[-1] // _TILE, generator=generator)
        tiles = functional.interpolate(noise, h2.shape[-2:], mode="nearest")
        variants = torch.cat([x, _without(x, h2, lungs), _without(x, tiles, lungs)])
        logits.append(cascade.pneumonia(variants).tolist())
    scores, ill = np.array(logits), np.array([film.label != NORMAL for film in films])
    groups = [film.group for film in films]

    def auc(column: int) -> Interval:
        return metrics.bootstrap(lambda i: metrics.auc(scores[i, column], ill[i]), groups)

    share = np.array(inside)
    return Heat(
        inside_lungs=metrics.bootstrap(
            lambda i: float(share[i].mean()), [str(i) for i in range(len(share))]
        ),
        auc=auc(0),
        auc_without_hottest=auc(1),
        auc_without_random=auc(2),
    )


def markdown(probe: Probe, found: Heat) -> str:
    """Both as tables."""
    nih, other = probe.films
    return (
        f"Told by the film's source alone ({nih} NIH against {other} ieee8023 films, all of them "
        "pneumonia and none COVID-19; cross-validated by patient; lower is better, 0.5 is blind):\n"
        "\n| seen | AUC |\n|---|---|\n"
        f"| the film with the lungs cut out, {_THUMBNAIL} px | {probe.lungs_cut_out} |\n"
        f"| the masked film, {_THUMBNAIL} px | {probe.masked} |\n"
        f"| stage 2's features | {probe.features} |\n"
        "\nWhere stage 2 looks (NIH test films):\n"
        "\n| | |\n|---|---|\n"
        f"| share of H2 inside the lung field, films called positive | {found.inside_lungs} |\n"
        f"| AUC, whole masked film | {found.auc} |\n"
        f"| AUC, hottest tenth of the lungs removed | {found.auc_without_hottest} |\n"
        f"| AUC, a random tenth removed | {found.auc_without_random} |\n"
    )


def _masked(cascade: Cascade, film: Film) -> tuple[Tensor, Tensor, Tensor]:
    """The film, its lung field and the masked film, each (1, 1, S, S)."""
    settings = cascade.settings
    pixels, frame = preprocess.to_network(load_pixels(film.path), settings.size)
    x, area = torch.from_numpy(pixels)[None, None], preprocess.film_area(frame)
    lungs = steps.lung_masks(steps.stage1(cascade.lungs, x), [area], settings.lung_threshold)
    field = lungs[:, unet.FIELD : unet.FIELD + 1]
    return x, field, steps.masked(x, lungs, settings.mask_margin)


def _without(x: Tensor, order: Tensor, lungs: Tensor) -> Tensor:
    """Blank the tenth of the lung field where ``order`` is highest."""
    ranked = torch.where(lungs > 0, order, -1.0).flatten()
    count = int(lungs.sum() * _SHARE)
    blank = torch.zeros_like(ranked, dtype=torch.bool)
    blank[ranked.topk(count).indices] = True
    return x.masked_fill(blank.view_as(x), 0.0)


def _thumbnail(x: Tensor) -> NDArray[np.float64]:
    small = functional.interpolate(x, (_THUMBNAIL, _THUMBNAIL), mode="bilinear", antialias=True)
    return np.asarray(small.flatten().numpy(), np.float64)
