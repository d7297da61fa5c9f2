"""Bias probes: whether a network reads the lungs or recognises the data set."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models import steps
from models.cascade import Cascade
from train.data.films import COVID, NORMAL, PNEUMONIA, Film, load_pixels
from train.evaluation import linear, metrics, store
from train.evaluation.border_baseline import ring
from train.evaluation.cached_features import Floats, traits
from train.evaluation.comparisons import CASE_REPORTS
from train.evaluation.metrics import Interval
from train.evaluation.store import Measure, Numbers

_TILE = 32  # side of the squares that are removed at random, pixels of the network frame
_SHARE = 0.1  # of the lung field, removed
_RIDGE = 0.1  # of every regression here; fixed before any was looked at
_HEAT = Measure(name="heat", version=1, networks=("lungs", "pneumonia"))
_COVID_FOR_EACH = 2  # films of COVID-19 for each other pneumonia; more would narrow no interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How well two sources are separated by films of one label: AUC; 0.5 is chance."""

    films: tuple[int, int]  # of each source
    lungs_cut_out: Interval
    masked: Interval
    features: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidated:
    """AUC of COVID-19 against other pneumonia; no patient is scored by a fit that saw them."""

    name: str
    negatives: int
    positives: int
    auc: Interval
    ring: Interval  # AUC of the border-ring baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """Where stage 2's heat lies, and how its scores change when that part is hidden."""

    films: int
    inside_lungs: Interval  # share of H2 inside the lung field, of the films called positive
    auc: Interval
    auc_without_hottest: Interval
    auc_without_random: Interval
    lost_to_hottest: Interval  # mean fall of the logit, of the films called positive
    lost_to_random: Interval
    lost_more: Interval  # the former less the latter, paired


def source_probe(
    cascade: Cascade, films: Sequence[Film], folder: Path, sources: tuple[str, str]
) -> Probe:
    """Measure how well two sources are separated by their pneumonia films without COVID-19.

    The regressions are cross-validated by patient, on as many films of one source as of the other,
    so that all splits have similar shares of both.

    Parameters
    ----------
    cascade
        Stages 1 and 2 see the films.
    films
        Of any source and label; those of ``sources`` with pneumonia are used.
    folder
        Keeps what was computed of a film, see `store`.
    sources
        The negative and the positive source.
    """
    ill = [[f for f in films if f.source == name and f.label == PNEUMONIA] for name in sources]
    fewest = min(map(len, ill))
    chosen = [film for one in ill for film in drawn(one, fewest)]
    other = np.array([f.source == sources[1] for f in chosen])
    found = traits(cascade, chosen, folder)
    return Probe(
        films=(int((~other).sum()), int(other.sum())),
        lungs_cut_out=_separation(found.cut, other, chosen),
        masked=_separation(found.masked, other, chosen),
        features=_separation(found.features, other, chosen),
    )


def stage3_within(
    cascade: Cascade, films: Sequence[Film], folder: Path, source: str
) -> list[CrossValidated]:
    """Stage 3 as a regression on stage 2's features of x ⊙ H2 (paper eq. 3), in one source alone.

    Stage 2 has seen such films as pneumonia, never which pneumonia, so all splits may take part.
    The last layer is fitted again without the patients it scores.

    Parameters
    ----------
    cascade
        Stages 1 and 2 see the films.
    films
        Of all splits.
    folder
        Keeps what was computed of a film, see `store`.
    source
        Its pneumonias are used, see `both_sides`.

    Returns
    -------
    list of CrossValidated
        All of these films, then its case reports alone; without those that lack one side.
    """
    chosen = both_sides(films, source)
    positive = np.array([f.label == COVID for f in chosen])
    scores = _scores(traits(cascade, chosen, folder).gated, positive, chosen)
    border = _scores(np.stack([ring(f.path) for f in chosen]), positive, chosen)
    cases = np.array([f.subsource in CASE_REPORTS for f in chosen])
    parts = {f"{source}, all": np.ones(len(chosen), np.bool_), " + ".join(CASE_REPORTS): cases}
    return [
        CrossValidated(
            name=name,
            negatives=int((~positive & inside).sum()),
            positives=int((positive & inside).sum()),
            auc=_auc(scores, positive, chosen, inside),
            ring=_auc(border, positive, chosen, inside),
        )
        for name, inside in parts.items()
        if len(set(positive[inside])) == 2
    ]


def both_sides(films: Sequence[Film], source: str) -> list[Film]:
    """All other pneumonias of a source; of COVID-19 all case reports, then `_COVID_FOR_EACH`."""
    pneumonia = [f for f in films if f.source == source and f.label == PNEUMONIA]
    covid = [f for f in films if f.source == source and f.label == COVID]
    cases_first = sorted(covid, key=lambda film: film.subsource not in CASE_REPORTS)
    sure = sum(film.subsource in CASE_REPORTS for film in covid)
    others = drawn(cases_first[sure:], max(0, _COVID_FOR_EACH * len(pneumonia) - sure))
    return [*pneumonia, *cases_first[:sure], *others]


def heat(cascade: Cascade, films: Sequence[Film], folder: Path) -> Heat:
    """Blank the hottest tenth of each lung field, and a random tenth, and score again.

    Parameters
    ----------
    cascade
        Stages 1 and 2 see the films.
    films
        Normal films are negative, all others positive.
    folder
        Keeps what was measured of a film, see `store`.
    """
    rows = store.numbers(_HEAT, cascade, films, _heat, folder)
    scores = np.array([[row[name] for name in ("whole", "hottest", "random")] for row in rows])
    ill = np.array([film.label != NORMAL for film in films])
    decide = cascade.settings.pneumonia.decide
    called = np.array([decide(row["whole"]).positive for row in rows])
    inside = np.array([row["inside"] for row in rows])
    everyone, fall = np.ones(len(films), np.bool_), scores[:, :1] - scores

    def mean(values: Floats) -> Interval:
        """Over the films called positive."""
        own = values[called] if called.any() else np.array([np.nan])
        groups = [f.group for f, on in zip(films, called, strict=True) if on] or [""]
        return metrics.bootstrap(lambda i: float(own[i].mean()), groups)

    return Heat(
        films=len(films),
        inside_lungs=mean(inside),
        auc=_auc(scores[:, 0], ill, films, everyone),
        auc_without_hottest=_auc(scores[:, 1], ill, films, everyone),
        auc_without_random=_auc(scores[:, 2], ill, films, everyone),
        lost_to_hottest=mean(fall[:, 1]),
        lost_to_random=mean(fall[:, 2]),
        lost_more=mean(fall[:, 1] - fall[:, 2]),
    )


@torch.inference_mode()
def _heat(cascade: Cascade, film: Film) -> Numbers:
    """The share of heat inside the lungs, and the logits of the film and of what is left of it."""
    seen = cascade.mask(load_pixels(film.path))
    lungs, x = seen.field, seen.masked
    logit, h2 = steps.stage2(cascade.pneumonia, x, lungs, cascade.settings.h2)
    seed = torch.Generator().manual_seed(zlib.crc32(film.path.name.encode()))
    side = h2.shape[-1] // _TILE
    tiles = functional.interpolate(torch.rand(1, 1, side, side, generator=seed), h2.shape[-2:])
    return {
        "inside": float((h2 * lungs).sum() / h2.sum()) if h2.sum() > 0 else 1.0,
        "whole": logit.item(),
        "hottest": cascade.pneumonia(without(x, h2, lungs)).item(),
        "random": cascade.pneumonia(without(x, tiles, lungs)).item(),
    }


def drawn(films: Sequence[Film], count: int) -> list[Film]:
    """At most ``count`` of the films, drawn with a fixed seed, in their order."""
    taken = np.random.default_rng(0).permutation(len(films))[:count]
    return [films[i] for i in sorted(taken)]


def without(x: Tensor, order: Tensor, lungs: Tensor) -> Tensor:
    """Blank the tenth of the lung field where ``order`` is highest.

    Parameters
    ----------
    x
        One film as stage 2 sees it: (1, 1, S, S).
    order
        (1, 1, S, S), >= 0.
    lungs
        Zeros and ones, (1, 1, S, S).

    Returns
    -------
    Tensor
        A copy of ``x``, 0 there.
    """
    ranked = torch.where(lungs > 0, order, -1.0).flatten()
    blank = torch.zeros_like(ranked, dtype=torch.bool)
    blank[ranked.topk(int(lungs.sum() * _SHARE)).indices] = True
    return x.masked_fill(blank.view_as(x), 0.0)


def _scores(x: Floats, positive: metrics.Bools, films: Sequence[Film]) -> Floats:
    return linear.cross_validated(x, positive, [film.group for film in films], ridge=_RIDGE)


def _separation(x: Floats, positive: metrics.Bools, films: Sequence[Film]) -> Interval:
    return _auc(_scores(x, positive, films), positive, films, np.ones(len(films), np.bool_))


def _auc(
    scores: Floats, positive: metrics.Bools, films: Sequence[Film], inside: metrics.Bools
) -> Interval:
    a, b = scores[inside], positive[inside]
    groups = [film.group for film, take in zip(films, inside, strict=True) if take]
    return metrics.bootstrap(lambda i: metrics.auc(a[i], b[i]), groups)
