"""What the cascade answers on films and on films with masks, by its own steps and settings.

Answers are kept on disk, film by film, under a name made of the weights, the settings and the code
of the steps: an evaluation that was killed goes on, and a second one costs seconds.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from rich.progress import track

from models import cam, classifier, densenet, efficientnet, preprocess, relu, unet
from models import cascade as steps
from models.cascade import Cascade
from train.data import image_io
from train.data.films import NORMAL, Film, LungFilm, load_mask, load_pixels, read_lung_films
from train.evaluation import metrics
from train.stages.stage1_lungs import dice


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The cascade's logits for one film; stage 3 is run on films of either pneumonia, nan else."""

    film: Film
    lung_area: float
    pneumonia: float  # logit
    covid19: float  # logit
    outline: float = math.nan  # 1 where the lungs' outlines differ suspiciously; nan: not compared


def predict(
    cascade: Cascade, films: Sequence[Film], folder: Path | None = None
) -> list[Prediction]:
    """Run the stages on every film, by the steps `Cascade.read` takes.

    With a ``folder``, scores of this very cascade are read from it and added to it, film by film.
    """
    log = ScoreLog(folder / f"scores-{fingerprint(cascade, (_scores,))}.jsonl") if folder else None
    known = log.read() if log else {}
    predictions = []
    for film in track(films, "films"):
        scores = known.get(_key(film))
        if scores is None:
            scores = _scores(cascade, film)
            if log:
                log.add(_key(film), scores)
        predictions.append(Prediction(film=film, **scores))
    return predictions


class ScoreLog:
    """Scores on disk, a line a film: what an interrupted evaluation need not do again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, dict[str, float]]:
        """Read all whole lines; a kill may have left half of one."""
        if not self.path.exists():
            return {}
        known = {}
        for line in self.path.read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                key, scores = json.loads(line)
                known[key] = scores
        return known

    def add(self, key: str, scores: dict[str, float]) -> None:
        """Append one film; the break stands first, so that half a line spoils no other."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps([key, scores]))


def fingerprint(
    cascade: Cascade,
    code: Sequence[ModuleType | Callable[..., object]],
    networks: Sequence[str] = ("lungs", "pneumonia", "covid19"),
) -> str:
    """Name everything a logit hangs on: weights, how they are used, the code; not thresholds.

    ``code`` is what makes numbers of the networks, besides the networks' and the films' own.
    """
    identity, settings = cascade.identity, cascade.settings
    digests = {name: digest for name, digest in identity.digests.items() if name in networks}
    traits = [digests, identity.h2_variant, settings.size, settings.mask_margin]
    traits.append(settings.lung_threshold)
    digest = hashlib.sha256(json.dumps(traits, sort_keys=True).encode())
    parts = (cam, classifier, densenet, efficientnet, image_io, preprocess, relu, steps, unet)
    for part in (*parts, *code):
        digest.update(inspect.getsource(part).encode())
    return digest.hexdigest()[:16]


def _key(film: Film) -> str:
    """Stage 3 is left out for normal films, so a film's label is part of its name."""
    return f"{film.path.resolve()} {film.label}"


@torch.inference_mode()
def _scores(cascade: Cascade, film: Film) -> dict[str, float]:
    settings = cascade.settings
    pixels, frame = preprocess.to_network(load_pixels(film.path), settings.size)
    x, area = torch.from_numpy(pixels)[None, None], preprocess.film_area(frame)
    lungs = steps.lung_masks(steps.stage1(cascade.lungs, x), [area], settings.lung_threshold)
    x_masked = steps.masked(x, lungs, settings.mask_margin, [area])
    field = steps.field_of(lungs)
    pneumonia, h2 = steps.stage2(cascade.pneumonia, x_masked, field, settings.h2)
    covid19 = float("nan")
    if film.label != NORMAL:
        logits, _ = steps.stage3(cascade.covid19, x_masked, h2, field)
        covid19 = logits.item()
    outlines = unet.asymmetry(field[0, 0].numpy() > 0, int(area.any(axis=1).sum()))
    return {
        "outline": float(outlines.suspicious) if outlines else math.nan,
        "lung_area": float(lungs[0, unet.FIELD].sum() / area.sum()),
        "pneumonia": pneumonia.item(),
        "covid19": covid19,
    }


def lung_dice(
    cascade: Cascade, data: Path, split: str = "test", folder: Path | None = None
) -> dict[str, metrics.Interval]:
    """Dice per source, each under its own convention, and per convention; kept as `predict`'s."""
    films = [film for film in read_lung_films(data) if film.split == split]
    name = f"dice-{fingerprint(cascade, (_dice, dice, load_mask), ('lungs',))}.jsonl"
    log = ScoreLog(folder / name) if folder else None
    known = log.read() if log else {}
    scores = []
    for film in track(films, "masks"):
        key = str(film.path.resolve())
        if key not in known:
            known[key] = {"dice": _dice(cascade, film)}
            if log:
                log.add(key, known[key])
        scores.append(known[key]["dice"])
    value = np.array(scores)
    parts = {film.source: [f.source == film.source for f in films] for film in films}
    healthy = ("jsrt", "wingspan", "openist")
    parts[" + ".join(healthy)] = [film.source in healthy for film in films]
    parts["aerated lung, heart left out"] = [f.channel == unet.AERATED for f in films]
    parts["lung field, behind the heart too"] = [f.channel == unet.FIELD for f in films]
    groups = np.array([film.group for film in films])
    return {
        name: _mean(value[inside], groups[inside]) for name, inside in parts.items() if any(inside)
    }


@torch.inference_mode()
def _dice(cascade: Cascade, film: LungFilm) -> float:
    size, threshold = cascade.settings.size, cascade.settings.lung_threshold
    pixels, frame = preprocess.to_network(load_pixels(film.path), size)
    logits = steps.stage1(cascade.lungs, torch.from_numpy(pixels)[None, None])
    masks = steps.lung_masks(logits, [preprocess.film_area(frame)], threshold)
    return dice(masks[0, film.channel].numpy() > 0, load_mask(film.masks, size))


def _mean(values: np.ndarray, groups: np.ndarray) -> metrics.Interval:
    return metrics.bootstrap(lambda i: float(values[i].mean()), list(groups))
