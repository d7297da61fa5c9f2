"""Check whether a film's stage-2 heatmap explains the decision: by its place, then by deletion.

Heat beside the lungs points at a marker or a cable, not at pneumonia. And the hottest region must
matter: with it hidden, the calibrated log odds must fall by `least_log_odds_drop` at least, and
further than with as much of the lungs hidden elsewhere (the deletion test of Samek et al. 2017,
doi:10.1109/TNNLS.2016.2599820). Log odds are compared because the probability saturates: near 1 it
hardly falls, whatever is hidden. Other regions are hidden only if the first test is passed, so that
a positive film costs one more pass of stage 2, or three (ADR 0024).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.reading import BoolMap, FloatMap, HeatCheck, Reading, StageResult

#: Films as stage 2 sees them, (B, 1, S, S), to its decisions.
Decisions: TypeAlias = Callable[[Tensor], Sequence[StageResult]]

#: Least share of the heat inside the lungs. On films it is 0.6 to 0.85, because the mask that stage
#: 2 sees has a margin, which heat may enter.
INSIDE_LUNGS = 0.5
#: This share of the lungs' pixels is hidden, the hottest ones.
HIDDEN = 0.1
#: Number of other regions, each as large, that are hidden one at a time for comparison.
ELSEWHERE = 2
# Side, in cells, of the noise that chooses these regions. Enlarged, its peaks are spots as wide as
# the heatmap's own; speckles would blind the network wherever they are.
_CELLS = 6


def check(
    reading: Reading,
    everywhere: FloatMap,
    x_masked: Tensor,
    decisions: Decisions,
    least_drop: float,
) -> HeatCheck:
    """Check one film's heatmap.

    A negative film has no finding to explain: the network is not run again, and the heatmap counts
    as not tested.

    Parameters
    ----------
    reading
        Of stages 1 and 2.
    everywhere
        Stage 2's heat wherever it saw film, (S, S); H2 is what lies inside the lungs.
    x_masked
        The film as stage 2 saw it, (1, 1, S, S), whose mean inside the lungs is 0.
    decisions
        Stage 2; called with the film without its hottest region, then perhaps without others.
    least_drop
        `heat_drop` of the manifest, in [0, 1]; `least_log_odds_drop` makes it log odds.

    Returns
    -------
    HeatCheck
        ``reliable`` is None for a negative film. Without heat, or if hiding the hottest region
        changes too little, it is False and no other region was hidden.
    """
    h2, lungs = reading.h2, reading.lungs.mask
    heat = float(everywhere.sum())
    inside = float(everywhere[lungs].sum()) / heat if heat else 1.0
    if not reading.pneumonia.positive:
        return HeatCheck(inside_lungs=inside, drop=None, random_drop=None, reliable=None)
    hot_region = hottest(reading)
    hidden = decisions(_without(x_masked, [hot_region]))
    drop, log_odds_drop = _lost(reading.pneumonia, hidden)
    found = HeatCheck(
        inside_lungs=inside,
        drop=drop,
        log_odds_drop=log_odds_drop,
        random_drop=None,
        reliable=False,
    )
    if not h2.any() or log_odds_drop < least_log_odds_drop(least_drop):
        return found
    others = decisions(_without(x_masked, _elsewhere(x_masked, lungs, hot_region)))
    random_drop, random_log_odds_drop = _lost(reading.pneumonia, others)
    return replace(
        found,
        random_drop=random_drop,
        random_log_odds_drop=random_log_odds_drop,
        reliable=inside >= INSIDE_LUNGS and log_odds_drop > random_log_odds_drop,
    )


def least_log_odds_drop(least_drop: float) -> float:
    """Convert a drop of the probability to log odds, at a probability of 1/2.

    There the probability changes most, by a quarter of the log odds. So a drop of ``least_drop`` of
    the probability is enough at every score; near 0 and 1 a smaller one is, too.
    """
    return least_drop / 0.25


def _lost(whole: StageResult, hidden: Sequence[StageResult]) -> tuple[float, float]:
    """Return what probability and calibrated log odds lose, as the mean of some films."""
    drops = [whole.probability - each.probability for each in hidden]
    log_odds_drops = [(whole.logit - each.logit) / whole.temperature for each in hidden]
    return sum(drops) / len(hidden), sum(log_odds_drops) / len(hidden)


def hottest(reading: Reading) -> BoolMap:
    """The hottest pixels of H2 inside the lungs, (S, S): `HIDDEN` of the lungs' pixels at most."""
    h2, lungs = reading.h2, reading.lungs.mask
    return _highest(h2, lungs & (h2 > 0), round(HIDDEN * int(lungs.sum())))


def _elsewhere(x_masked: Tensor, lungs: BoolMap, hot: BoolMap) -> list[BoolMap]:
    """`ELSEWHERE` other regions of the lungs, each as large as the hottest one."""
    # Seeded by the film: every reading of it hides the same regions.
    rng = np.random.default_rng(zlib.crc32(x_masked.numpy().tobytes()))
    size, rest = int(hot.sum()), lungs & ~hot
    return [_highest(_spots(rng, hot.shape[0]), rest, size) for _ in range(ELSEWHERE)]


def _without(x_masked: Tensor, regions: Sequence[BoolMap]) -> Tensor:
    """The film once without each region, (B, 1, S, S)."""
    shown = ~torch.from_numpy(np.stack(regions))
    return x_masked * shown[:, None]  # 0 is the mean of the lungs


def _highest(values: FloatMap, where: BoolMap, count: int) -> BoolMap:
    """Return a mask of the ``count`` highest values inside a mask; of equal ones the first."""
    places = np.flatnonzero(where)
    inside = values.ravel()[places]
    region = np.zeros(where.size, np.bool_)
    if 0 < count < len(inside):
        least = np.partition(inside, -count)[-count]
        higher, equal = places[inside > least], places[inside == least]
        places = np.concatenate([higher, equal[: count - len(higher)]])
    region[places[:count]] = True
    return region.reshape(where.shape)


def _spots(rng: np.random.Generator, size: int) -> FloatMap:
    """Return smooth noise, (size, size)."""
    cells = torch.from_numpy(rng.random((1, 1, _CELLS, _CELLS), dtype=np.float32))
    spots = functional.interpolate(cells, (size, size), mode="bilinear", align_corners=False)
    return np.asarray(spots[0, 0])
