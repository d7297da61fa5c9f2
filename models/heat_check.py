"""Check whether a film's stage-2 heatmap explains the decision: by its place, then by deletion.

Heat beside the lungs points at a marker or a cable, not at pneumonia. And what is hot must matter:
with it hidden, the probability must fall by some points at least (`heat_drop` of the manifest), and
further than with as much of the lungs hidden elsewhere (the deletion test of Samek et al. 2017,
doi:10.1109/TNNLS.2016.2599820). It costs a
positive film three more forward passes of stage 2, in one batch at full size: at half the size the
network gives another answer.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.reading import BoolMap, FloatMap, HeatCheck, Reading

#: Films as stage 2 sees them, (B, 1, S, S), to its probabilities.
Probabilities: TypeAlias = Callable[[Tensor], Sequence[float]]

#: Where less of the heat lies inside the lungs, more of it lies beside them. Of films it is 0.6 to
#: 0.85: their mask has a margin, which heat may enter.
INSIDE_LUNGS = 0.5
#: This share of the lungs' pixels is hidden, the hottest ones.
HIDDEN = 0.1
#: So many times as much is hidden elsewhere.
ELSEWHERE = 2
# Cells a side of the noise that chooses where: enlarged, its peaks are spots as wide as the
# heatmap's own, for speckles would blind the network anywhere.
_CELLS = 6


def check(
    reading: Reading,
    everywhere: FloatMap,
    x_masked: Tensor,
    probabilities: Probabilities,
    least_drop: float,
) -> HeatCheck:
    """Check one film's heatmap.

    A negative film has no finding to explain: the network is not asked, and the heatmap counts as
    not tested.

    Parameters
    ----------
    reading
        Of stages 1 and 2.
    everywhere
        Stage 2's heat wherever it saw film, (S, S); H2 is what lies inside the lungs.
    x_masked
        The film as stage 2 saw it, (1, 1, S, S), whose mean inside the lungs is 0.
    probabilities
        Stage 2, asked once, about 1 + `ELSEWHERE` films.
    least_drop
        Of the probability, with the hottest region hidden, in [0, 1].
    """
    h2, lungs = reading.h2, reading.lungs.mask
    heat = float(everywhere.sum())
    inside = float(everywhere[lungs].sum()) / heat if heat else 1.0
    if not reading.pneumonia.positive:
        return HeatCheck(inside_lungs=inside, drop=None, random_drop=None, reliable=None)
    whole = reading.pneumonia.probability
    hot, *others = probabilities(_hidden(h2, lungs, x_masked))
    drop, random_drop = whole - hot, whole - sum(others) / ELSEWHERE
    matters = bool(h2.any()) and drop >= least_drop and drop > random_drop
    reliable = inside >= INSIDE_LUNGS and matters
    return HeatCheck(inside_lungs=inside, drop=drop, random_drop=random_drop, reliable=reliable)


def _hidden(h2: FloatMap, lungs: BoolMap, x_masked: Tensor) -> Tensor:
    """The film without its hottest region, then without others, (1 + `ELSEWHERE`, 1, S, S)."""
    hottest = _highest(h2, lungs & (h2 > 0), round(HIDDEN * int(lungs.sum())))
    size, rest = int(hottest.sum()), lungs & ~hottest
    # Chance that hangs on the film alone: every reading of it hides the same.
    rng = np.random.default_rng(zlib.crc32(x_masked.numpy().tobytes()))
    others = [_highest(_spots(rng, h2.shape[0]), rest, size) for _ in range(ELSEWHERE)]
    shown = ~torch.from_numpy(np.stack([hottest, *others]))
    return x_masked * shown[:, None]  # 0 is the mean of the lungs


def _highest(values: FloatMap, where: BoolMap, count: int) -> BoolMap:
    """Return a mask of the ``count`` highest values inside a mask."""
    places = np.flatnonzero(where)
    order = np.argsort(-values.ravel()[places], kind="stable")
    region = np.zeros(where.size, np.bool_)
    region[places[order[:count]]] = True
    return region.reshape(where.shape)


def _spots(rng: np.random.Generator, size: int) -> FloatMap:
    """Return smooth noise, (size, size)."""
    cells = torch.from_numpy(rng.random((1, 1, _CELLS, _CELLS), dtype=np.float32))
    spots = functional.interpolate(cells, (size, size), mode="bilinear", align_corners=False)
    return np.asarray(spots[0, 0])
