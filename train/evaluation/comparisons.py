"""Which films are compared, and how well the cascade's logits separate them.

The comparisons within one source lead; a pooled figure stands after them, and beside each the
border-ring baseline on the same films.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.cascade import OperatingPoint, Settings
from train.data.films import COVID, NORMAL, PNEUMONIA, Film, refuse_mined
from train.evaluation import metrics
from train.evaluation.border_baseline import ring_scores
from train.evaluation.evaluate import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One comparison: a stage, a name, and which films are the two sides."""

    stage: int  # 2 or 3
    name: str
    negative: Callable[[Film], bool]
    positive: Callable[[Film], bool]
    ring: bool = True  # whether the training split has both sides

    def sides(self, films: Sequence[Film]) -> tuple[list[int], np.ndarray]:
        """Indices of the films compared, and which of them are positive."""
        chosen = [i for i, f in enumerate(films) if self.negative(f) or self.positive(f)]
        return chosen, np.array([self.positive(films[i]) for i in chosen], np.bool_)

    def at(self, settings: Settings) -> OperatingPoint:
        """Where the stage decides."""
        return settings.pneumonia if self.stage == 2 else settings.covid19

    def logits(self, predictions: Sequence[Prediction]) -> metrics.Floats:
        """What the stage says of these films."""
        return np.array([p.pneumonia if self.stage == 2 else p.covid19 for p in predictions])


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison's numbers; None if that side has no films."""

    name: str
    negatives: int
    positives: int
    auc: metrics.Interval | None
    sensitivity: metrics.Interval | None
    specificity: metrics.Interval | None
    ring: metrics.Interval | None


def labelled(labels: Sequence[str], *sources: str) -> Callable[[Film], bool]:
    """Films of these sources with one of these labels, none of which is mined from text."""
    refuse_mined(labels, "A comparison")
    return lambda film: film.label in labels and film.source in sources


def _is(label: str, *sources: str) -> Callable[[Film], bool]:
    return labelled((label,), *sources)


def _ill(*sources: str) -> Callable[[Film], bool]:
    return labelled((PNEUMONIA, COVID), *sources)


def _view(test: Callable[[Film], bool], view: str) -> Callable[[Film], bool]:
    return lambda film: film.view == view and test(film)


def _case_reports(label: str) -> Callable[[Film], bool]:
    return lambda film: film.label == label and film.subsource in ("radiopaedia", "eurorad")


def _nothing(_: Film) -> bool:
    return False


_SEEN = ("nih", "quex")
_ALL = ("nih", "quex", "ieee8023", "hannover", "bimcv")
_NIH_NORMAL, _NIH_PNEUMONIA = _is(NORMAL, "nih"), _is(PNEUMONIA, "nih")

COMPARISONS = (
    Comparison(
        stage=2,
        name="NIH, radiologists: normal / opacity",
        negative=_NIH_NORMAL,
        positive=_NIH_PNEUMONIA,
    ),
    Comparison(
        stage=2,
        name="NIH, AP only",
        negative=_view(_NIH_NORMAL, "AP"),
        positive=_view(_NIH_PNEUMONIA, "AP"),
    ),
    Comparison(
        stage=2,
        name="NIH, PA only",
        negative=_view(_NIH_NORMAL, "PA"),
        positive=_view(_NIH_PNEUMONIA, "PA"),
    ),
    Comparison(
        stage=2,
        name="quex alone: normal / any pneumonia",
        negative=_is(NORMAL, "quex"),
        positive=_ill("quex"),
    ),
    Comparison(
        stage=2,
        name="NIH + quex: normal / any pneumonia",
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
        name="hannover: COVID-19 only",
        negative=_nothing,
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
        name="quex alone: pneumonia / COVID-19",
        negative=_is(PNEUMONIA, "quex"),
        positive=_is(COVID, "quex"),
    ),
    Comparison(
        stage=3,
        name="all sources: pneumonia / COVID-19",
        negative=_is(PNEUMONIA, *_ALL),
        positive=_is(COVID, *_ALL),
    ),
    Comparison(
        stage=3,
        name="NIH pneumonia / ieee8023 COVID-19 (label and source are one, as in the paper)",
        negative=_NIH_PNEUMONIA,
        positive=_is(COVID, "ieee8023"),
    ),
    Comparison(
        stage=3,
        name="hannover: COVID-19 only",
        negative=_nothing,
        positive=_is(COVID, "hannover"),
        ring=False,
    ),
    Comparison(
        stage=3,
        name="actualmed (never trained on): COVID-19 only",
        negative=_nothing,
        positive=_is(COVID, "actualmed"),
        ring=False,
    ),
)


def compare(
    comparison: Comparison, predictions: Sequence[Prediction], settings: Settings, train: list[Film]
) -> Row:
    """One row: AUC of the logits, sensitivity and specificity at the shipped threshold."""
    chosen, positive = comparison.sides([p.film for p in predictions])
    kept = [predictions[i] for i in chosen]
    groups = [p.film.group for p in kept]
    at, logits = comparison.at(settings), comparison.logits(kept)
    called = np.array([at.decide(float(logit)).positive for logit in logits], np.bool_)
    both = 0 < positive.sum() < len(kept)

    def share(side: np.ndarray, hit: np.ndarray) -> metrics.Interval | None:
        films = np.flatnonzero(side)
        return metrics.share(hit[films], [groups[i] for i in films]) if len(films) else None

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
