"""Whether the heat lies where annotators drew the infection: H2 and H3 against drawn masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models import preprocess, steps
from models.cascade import Cascade
from train.data.films import Film, load_mask, load_pixels
from train.evaluation import metrics, store
from train.evaluation.metrics import Interval
from train.evaluation.store import Measure, Numbers

#: How far from the infection the hottest pixel may lie, share of the frame's side.
TOLERANCE = 0.06
_FEWEST = 20  # pixels that a mean needs
_PLACES = Measure(name="places", version=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Localised:
    """One heatmap over films with drawn infections."""

    name: str
    films: int
    pointing: Interval  # share of films whose hottest pixel lies in the infection, or near it
    chance: Interval  # of a pixel of the lungs drawn at random
    lift: Interval  # median of mean heat inside the infection over that of the rest of the lungs


def localise(cascade: Cascade, films: Sequence[Film], folder: Path) -> list[Localised]:
    """Measure where H2 and H3 lie, against drawn infections.

    Parameters
    ----------
    cascade
        All three networks.
    films
        Films without a drawn infection are left out. A film without lungs or heat counts as
        pointing nowhere; without lungs it does not count in chance and lift.
    folder
        Keeps what was measured of a film, see `store`.

    Returns
    -------
    list of Localised
        H2, then H3; empty without a film.
    """
    drawn = [film for film in films if film.infection is not None]
    rows = store.numbers(_PLACES, cascade, drawn, _places, folder)
    return [_summary(name, rows, drawn) for name in ("H2", "H3")] if rows else []


@torch.inference_mode()
def _places(cascade: Cascade, film: Film) -> Numbers:
    seen = cascade.mask(load_pixels(film.path))
    _, h2 = steps.stage2(cascade.pneumonia, seen.masked, seen.field, cascade.settings.h2)
    _, h3 = steps.stage3(cascade.covid19, seen.masked, h2, seen.field, cascade.settings.h2_floor)
    assert film.infection is not None  # noqa: S101 - the caller's
    size = cascade.settings.size
    drawn = load_mask((film.infection,), size)
    lungs = seen.field[0, 0].numpy() > 0
    grown = preprocess.dilate(torch.from_numpy(drawn)[None, None].float(), round(TOLERANCE * size))
    near = grown[0, 0].numpy() > 0
    found = {"chance": float(near[lungs].mean()) if lungs.any() else float("nan")}
    for name, heat in (("H2", h2), ("H3", h3)):
        hot, ratio = place(heat[0, 0].numpy(), lungs, drawn, near)
        found |= {name: hot, f"{name} lift": ratio}
    return found


def place(
    heat: NDArray[np.float32],
    lungs: NDArray[np.bool_],
    drawn: NDArray[np.bool_],
    near: NDArray[np.bool_],
) -> tuple[float, float]:
    """Compare one heatmap with a drawn infection.

    Parameters
    ----------
    heat
        (S, S) in [0, 1].
    lungs, drawn
        Lung field and infection, (S, S).
    near
        The infection, grown by `TOLERANCE`: (S, S).

    Returns
    -------
    hot : float
        1 if the hottest pixel lies in ``near``, else 0; 0 without heat.
    lift : float
        Mean heat of the infection inside the lungs over that of the rest of the lungs; nan if
        either has fewer than `_FEWEST` pixels, else 0 without heat.
    """
    hot = float(near.flat[int(heat.argmax())]) if heat.any() else 0.0
    inside, rest = lungs & drawn, lungs & ~drawn
    if min(inside.sum(), rest.sum()) < _FEWEST:
        return hot, float("nan")
    return hot, float(heat[inside].mean() / (heat[rest].mean() + 1e-6)) if heat.any() else 0.0


def _summary(name: str, rows: Sequence[dict[str, float]], films: Sequence[Film]) -> Localised:
    def interval(key: str, middle: bool = False) -> Interval:
        values = np.array([row[key] for row in rows])
        kept = np.flatnonzero(~np.isnan(values))
        values, groups = values[kept], [films[int(i)].group for i in kept]
        summary = np.median if middle else np.mean
        return metrics.bootstrap(lambda i: float(summary(values[i])), groups)

    return Localised(
        name=name,
        films=len(rows),
        pointing=interval(name),
        chance=interval("chance"),
        lift=interval(f"{name} lift", middle=True),
    )


def table(rows: Sequence[Localised]) -> str:
    """Return the rows as a Markdown table."""
    head = (
        "| heatmap | films | hottest pixel in the infection | chance | lift, median |\n"
        "|---|---|---|---|---|\n"
    )
    return head + "".join(
        f"| {one.name} | {one.films} | {one.pointing} | {one.chance} | {one.lift} |\n"
        for one in rows
    )
