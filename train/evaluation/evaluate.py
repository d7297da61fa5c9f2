"""Run the cascade, with its own steps and settings, on films and on films with lung masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models import steps, unet
from models.cascade import Cascade
from train.data.films import NORMAL, Film, LungFilm, load_mask, load_pixels, read_lung_films
from train.evaluation import metrics, store
from train.evaluation.store import Measure, Numbers
from train.stages.stage1_lungs import dice

_SCORES = Measure(name="scores", version=1)
_DICE = Measure(name="dice", version=1, networks=("lungs",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The cascade's logits for one film; stage 3 runs on films of either pneumonia, else nan."""

    film: Film
    lung_area: float  # share of the film that is lung field, in [0, 1]
    pneumonia: float  # logit
    covid19: float  # logit
    outline: float = math.nan  # 1 if the lungs' outlines differ suspiciously; nan: not compared


def predict(
    cascade: Cascade, films: Sequence[Film], folder: Path | None = None
) -> list[Prediction]:
    """Run all stages on films.

    Parameters
    ----------
    cascade
        All three networks.
    films
        Stage 3 is left out for normal ones.
    folder
        Keeps the numbers of each film, see `store`; None: nothing is kept.

    Returns
    -------
    list of Prediction
        One for each film, in order.
    """
    rows = store.numbers(_SCORES, cascade, films, _scores, folder, key=_path_and_label)
    return [Prediction(film=film, **row) for film, row in zip(films, rows, strict=True)]


def _path_and_label(film: Film) -> str:
    """Name a film by its path and label: stage 3 is left out for normal films."""
    return f"{store.film_key(film)} {film.label}"


@torch.inference_mode()
def _scores(cascade: Cascade, film: Film) -> Numbers:
    seen = cascade.mask(load_pixels(film.path))
    pneumonia, h2 = steps.stage2(cascade.pneumonia, seen.masked, seen.field, cascade.settings.h2)
    covid19 = math.nan
    if film.label != NORMAL:
        logits, _ = steps.stage3(
            cascade.covid19, seen.masked, h2, seen.field, cascade.settings.h2_floor
        )
        covid19 = logits.item()
    outlines = seen.asymmetry
    return {
        "outline": float(outlines.suspicious) if outlines else math.nan,
        "lung_area": seen.lung_share,
        "pneumonia": pneumonia.item(),
        "covid19": covid19,
    }


def lung_dice(
    cascade: Cascade, data: Path, split: str = "test", folder: Path | None = None
) -> dict[str, metrics.Interval]:
    """Mean Dice of stage 1's cleaned masks, each film under its own convention.

    Parameters
    ----------
    cascade
        Its stage 1 is measured.
    data
        Folder with films and manifest.
    split
        Of the films.
    folder
        Keeps the Dice of each film, see `store`; None: nothing is kept.

    Returns
    -------
    dict
        Sources, healthy sources together, and the two conventions -> mean Dice in [0, 1].
    """
    films = [film for film in read_lung_films(data) if film.split == split]
    rows = store.numbers(_DICE, cascade, films, _dice, folder)
    value = np.array([row["dice"] for row in rows])
    parts = {film.source: [f.source == film.source for f in films] for film in films}
    healthy = ("jsrt", "wingspan", "openist")
    parts[" + ".join(healthy)] = [film.source in healthy for film in films]
    parts["aerated lung, heart left out"] = [f.channel == unet.AERATED for f in films]
    parts["lung field, behind the heart too"] = [f.channel == unet.FIELD for f in films]
    groups = np.array([film.group for film in films])
    return {
        name: _mean(value[inside], groups[inside]) for name, inside in parts.items() if any(inside)
    }


def _dice(cascade: Cascade, film: LungFilm) -> Numbers:
    found = cascade.mask(load_pixels(film.path)).lungs[0, film.channel].numpy() > 0
    return {"dice": dice(found, load_mask(film.masks, cascade.settings.size))}


def _mean(values: np.ndarray, groups: np.ndarray) -> metrics.Interval:
    return metrics.bootstrap(lambda i: float(values[i].mean()), list(groups))
