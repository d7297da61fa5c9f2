"""What the shipped cascade does on films: its own steps, its own thresholds, honest comparisons.

The comparisons within one source lead; a pooled figure stands after them, and beside each the
border-ring baseline on the same films.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from models import cascade as steps
from models import preprocess, unet
from models.cascade import Cascade
from train import metrics
from train.data import COVID, NORMAL, PNEUMONIA, Film, load_mask, load_pixels, read_lung_films
from train.ring import ring_scores
from train.stage1_lungs import dice


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The cascade's logits for one film; stage 3 is run on films of either pneumonia, nan else."""

    film: Film
    lung_area: float
    pneumonia: float  # logit
    covid19: float  # logit


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Films to tell apart: a stage, a name, and which films are the two sides."""

    stage: int  # 2 or 3
    name: str
    negative: Callable[[Film], bool]
    positive: Callable[[Film], bool]
    ring: bool = True  # whether the training split has both sides

    def sides(self, films: Sequence[Film]) -> tuple[list[int], np.ndarray]:
        """Indices of the films compared, and which of them are positive."""
        chosen = [i for i, f in enumerate(films) if self.negative(f) or self.positive(f)]
        return chosen, np.array([self.positive(films[i]) for i in chosen], np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison's numbers; None where the side is missing."""

    name: str
    negatives: int
    positives: int
    auc: metrics.Interval | None
    sensitivity: metrics.Interval | None
    specificity: metrics.Interval | None
    ring: metrics.Interval | None


def _is(label: str, *sources: str) -> Callable[[Film], bool]:
    return lambda film: film.label == label and film.source in sources


def _ill(*sources: str) -> Callable[[Film], bool]:
    return lambda film: film.label != NORMAL and film.source in sources


def _view(test: Callable[[Film], bool], view: str) -> Callable[[Film], bool]:
    return lambda film: film.view == view and test(film)


def _case_reports(label: str) -> Callable[[Film], bool]:
    return lambda film: film.label == label and film.subsource in ("radiopaedia", "eurorad")


def _nobody(_: Film) -> bool:
    return False


_SEEN = ("nih", "ieee8023")
_NIH_NORMAL, _NIH_PNEUMONIA = _is(NORMAL, "nih"), _is(PNEUMONIA, "nih")

COMPARISONS = (
    Comparison(
        stage=2, name="NIH alone: normal / pneumonia", negative=_NIH_NORMAL, positive=_NIH_PNEUMONIA
    ),
    Comparison(
        stage=2,
        name="NIH alone, AP only",
        negative=_view(_NIH_NORMAL, "AP"),
        positive=_view(_NIH_PNEUMONIA, "AP"),
    ),
    Comparison(
        stage=2,
        name="NIH alone, PA only",
        negative=_view(_NIH_NORMAL, "PA"),
        positive=_view(_NIH_PNEUMONIA, "PA"),
    ),
    Comparison(
        stage=2,
        name="NIH + ieee8023: normal / any pneumonia",
        negative=_is(NORMAL, *_SEEN),
        positive=_ill(*_SEEN),
    ),
    Comparison(
        stage=2,
        name="kermany (children; never trained on): normal / pneumonia",
        negative=_is(NORMAL, "kermany"),
        positive=_is(PNEUMONIA, "kermany"),
    ),
    Comparison(
        stage=2,
        name="actualmed (never trained on): normal / COVID-19",
        negative=_is(NORMAL, "actualmed"),
        positive=_is(COVID, "actualmed"),
        ring=False,
    ),
    Comparison(
        stage=2,
        name="hannover (never trained on): COVID-19 only",
        negative=_nobody,
        positive=_is(COVID, "hannover"),
        ring=False,
    ),
    Comparison(
        stage=3,
        name="ieee8023 alone: pneumonia / COVID-19",
        negative=_is(PNEUMONIA, "ieee8023"),
        positive=_is(COVID, "ieee8023"),
    ),
    Comparison(
        stage=3,
        name="ieee8023, radiopaedia + eurorad alone",
        negative=_case_reports(PNEUMONIA),
        positive=_case_reports(COVID),
    ),
    Comparison(
        stage=3,
        name="NIH + ieee8023: pneumonia / COVID-19",
        negative=_is(PNEUMONIA, *_SEEN),
        positive=_is(COVID, *_SEEN),
    ),
    Comparison(
        stage=3,
        name="hannover (never trained on): COVID-19 only",
        negative=_nobody,
        positive=_is(COVID, "hannover"),
        ring=False,
    ),
)


@torch.inference_mode()
def predict(cascade: Cascade, films: Sequence[Film]) -> list[Prediction]:
    """Run the stages on every film, by the steps `Cascade.read` takes."""
    return [_predict(cascade, film) for film in track(films, "films")]


def _predict(cascade: Cascade, film: Film) -> Prediction:
    settings = cascade.settings
    pixels, frame = preprocess.to_network(load_pixels(film.path), settings.size)
    x, area = torch.from_numpy(pixels)[None, None], preprocess.film_area(frame)
    lungs = steps.lung_masks(steps.stage1(cascade.lungs, x), [area], settings.lung_threshold)
    x_masked = steps.masked(x, lungs, settings.mask_margin)
    pneumonia, h2 = steps.stage2(cascade.pneumonia, x_masked, settings.h2)
    covid19 = float("nan")
    if film.label != NORMAL:
        logits, _ = steps.stage3(cascade.covid19, x_masked, h2)
        covid19 = logits.item()
    return Prediction(
        film=film,
        lung_area=float(lungs[0, unet.FIELD].sum() / area.sum()),
        pneumonia=pneumonia.item(),
        covid19=covid19,
    )


def compare(
    comparison: Comparison, predictions: Sequence[Prediction], cascade: Cascade, train: list[Film]
) -> Row:
    """One row: AUC of the logits, sensitivity and specificity at the shipped threshold."""
    chosen, positive = comparison.sides([p.film for p in predictions])
    kept = [predictions[i] for i in chosen]
    groups = [p.film.group for p in kept]
    at = cascade.settings.pneumonia if comparison.stage == 2 else cascade.settings.covid19
    logits = np.array([p.pneumonia if comparison.stage == 2 else p.covid19 for p in kept])
    called = np.array([at.decide(float(logit)).positive for logit in logits], np.bool_)
    both = 0 < positive.sum() < len(kept)

    def share(side: np.ndarray, hit: np.ndarray) -> metrics.Interval | None:
        films = np.flatnonzero(side)
        if not len(films):
            return None
        return metrics.bootstrap(lambda i: float(hit[films][i].mean()), [groups[j] for j in films])

    return Row(
        name=comparison.name,
        negatives=int((~positive).sum()),
        positives=int(positive.sum()),
        auc=_auc(logits, positive, groups) if both else None,
        sensitivity=share(positive, called),
        specificity=share(~positive, ~called),
        ring=_ring(comparison, train, kept, positive) if both and comparison.ring else None,
    )


def _auc(scores: np.ndarray, positive: np.ndarray, groups: list[str]) -> metrics.Interval:
    return metrics.bootstrap(lambda i: metrics.auc(scores[i], positive[i]), groups)


def _ring(
    comparison: Comparison, train: list[Film], kept: list[Prediction], positive: np.ndarray
) -> metrics.Interval:
    learned, truth = comparison.sides(train)
    scores = ring_scores([train[i] for i in learned], truth, [p.film for p in kept])
    return _auc(scores, positive, [p.film.group for p in kept])


@torch.inference_mode()
def lung_dice(cascade: Cascade, data: Path, split: str = "test") -> dict[str, metrics.Interval]:
    """Dice per source, each under its own convention, and per convention."""
    films = [film for film in read_lung_films(data) if film.split == split]
    size, threshold = cascade.settings.size, cascade.settings.lung_threshold
    scores = []
    for film in track(films, "masks"):
        pixels, frame = preprocess.to_network(load_pixels(film.path), size)
        logits = steps.stage1(cascade.lungs, torch.from_numpy(pixels)[None, None])
        masks = steps.lung_masks(logits, [preprocess.film_area(frame)], threshold)
        scores.append(dice(masks[0, film.channel].numpy() > 0, load_mask(film.mask, size)))
    value = np.array(scores)
    parts = {film.source: [f.source == film.source for f in films] for film in films}
    parts["aerated lung, heart left out"] = [f.channel == unet.AERATED for f in films]
    parts["lung field, behind the heart too"] = [f.channel == unet.FIELD for f in films]
    groups = np.array([film.group for film in films])
    return {name: _mean(value[inside], groups[inside]) for name, inside in parts.items()}


def _mean(values: np.ndarray, groups: np.ndarray) -> metrics.Interval:
    return metrics.bootstrap(lambda i: float(values[i].mean()), list(groups))


def table(rows: Sequence[Row]) -> str:
    """Rows as Markdown."""
    head = "| films | n - / + | AUC | sensitivity | specificity | border ring's AUC |\n"
    lines = [
        f"| {r.name} | {r.negatives} / {r.positives} | {_cell(r.auc)} | {_cell(r.sensitivity)} "
        f"| {_cell(r.specificity)} | {_cell(r.ring)} |"
        for r in rows
    ]
    return head + "|---|---|---|---|---|---|\n" + "\n".join(lines) + "\n"


def dice_table(scores: dict[str, metrics.Interval]) -> str:
    """Dice as Markdown."""
    lines = [f"| {name} | {score} |" for name, score in scores.items()]
    return "| films | mean Dice |\n|---|---|\n" + "\n".join(lines) + "\n"


def _cell(interval: metrics.Interval | None) -> str:
    return "-" if interval is None else str(interval)
