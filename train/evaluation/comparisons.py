"""Which films are compared, and how well the cascade's logits separate them.

The comparisons within one source come first, then the pooled ones; each has the border-ring
baseline on the same films beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.cascade import Settings
from models.operating import OperatingPoint
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
        """Indices of the films that are compared, and which of these are positive."""
        chosen = [i for i, f in enumerate(films) if self.negative(f) or self.positive(f)]
        return chosen, np.array([self.positive(films[i]) for i in chosen], np.bool_)

    def at(self, settings: Settings) -> OperatingPoint:
        """Return the stage's operating point."""
        return settings.pneumonia if self.stage == 2 else settings.covid19

    def logits(self, predictions: Sequence[Prediction]) -> metrics.Floats:
        """Return the stage's logits, one for each prediction."""
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
    ring: metrics.Interval | None  # AUC of the border-ring baseline


def labelled(labels: Sequence[str], *sources: str) -> Callable[[Film], bool]:
    """Return a test for films of these sources with one of these labels.

    Raises
    ------
    ValueError
        A label is mined from report text.
    """
    refuse_mined(labels, "A comparison")
    return lambda film: film.label in labels and film.source in sources


def within(  # noqa: PLR0913 - one row of a table
    stage: int,
    name: str,
    negative: Sequence[str],
    positive: Sequence[str],
    *sources: str,
    view: str = "",
    subsources: Sequence[str] = (),
    ring: bool = True,
) -> Comparison:
    """Compare films of these sources by label.

    Parameters
    ----------
    stage
        2 or 3.
    name
        Of the row.
    negative, positive
        Labels of the two sides; an empty side gives sensitivity or specificity alone.
    *sources
        Only films of these.
    view, subsources
        Only films of this view, of these sub-sources; all if empty.
    ring
        Whether the training split has both sides, so that the border ring can be fitted.

    Raises
    ------
    ValueError
        A label is mined from report text.
    """

    def side(labels: Sequence[str]) -> Callable[[Film], bool]:
        chosen = labelled(labels, *sources)
        return lambda film: (
            chosen(film)
            and view in ("", film.view)
            and (not subsources or film.subsource in subsources)
        )

    return Comparison(
        stage=stage, name=name, negative=side(negative), positive=side(positive), ring=ring
    )


#: Sub-sources of ieee8023 that publish both kinds of pneumonia, as case reports.
CASE_REPORTS = ("radiopaedia", "eurorad")
_WELL, _ILL = (NORMAL,), (PNEUMONIA, COVID)
_OTHER, _COVID = (PNEUMONIA,), (COVID,)
_ALL = ("nih", "quex", "ieee8023", "hannover", "bimcv")

COMPARISONS = (
    within(2, "NIH, radiologists: normal / opacity", _WELL, _OTHER, "nih"),
    within(2, "NIH, AP only", _WELL, _OTHER, "nih", view="AP"),
    within(2, "NIH, PA only", _WELL, _OTHER, "nih", view="PA"),
    within(2, "quex alone: normal / any pneumonia", _WELL, _ILL, "quex"),
    within(2, "NIH + quex: normal / any pneumonia", _WELL, _ILL, "nih", "quex"),
    within(2, "kermany (children; never trained on): normal / pneumonia", _WELL, _OTHER, "kermany"),
    within(
        2, "actualmed (never trained on): normal / COVID-19", _WELL, _COVID, "actualmed", ring=False
    ),
    within(2, "hannover: COVID-19 only", (), _COVID, "hannover", ring=False),
    within(3, "ieee8023 alone: pneumonia / COVID-19", _OTHER, _COVID, "ieee8023"),
    within(
        3,
        "ieee8023, radiopaedia + eurorad alone",
        _OTHER,
        _COVID,
        "ieee8023",
        subsources=CASE_REPORTS,
    ),
    within(3, "quex alone: pneumonia / COVID-19", _OTHER, _COVID, "quex"),
    within(3, "all sources: pneumonia / COVID-19", _OTHER, _COVID, *_ALL),
    Comparison(
        stage=3,
        name="NIH pneumonia / ieee8023 COVID-19 (label and source are one, as in the paper)",
        negative=labelled(_OTHER, "nih"),
        positive=labelled(_COVID, "ieee8023"),
    ),
    within(3, "hannover: COVID-19 only", (), _COVID, "hannover", ring=False),
    within(3, "actualmed (never trained on): COVID-19 only", (), _COVID, "actualmed", ring=False),
)


def compare(
    comparison: Comparison,
    predictions: Sequence[Prediction],
    settings: Settings,
    train: Sequence[Film] = (),
) -> Row:
    """Return the AUC of the logits, and sensitivity and specificity at the cascade's threshold.

    Parameters
    ----------
    comparison
        Stage and sides.
    predictions
        Films and logits; those that the comparison does not name are left out.
    settings
        The operating points.
    train
        Films that teach the border ring; without them there is none.
    """
    chosen, positive = comparison.sides([p.film for p in predictions])
    kept = [predictions[i] for i in chosen]
    groups = [p.film.group for p in kept]
    at, logits = comparison.at(settings), comparison.logits(kept)
    called = np.array([at.decide(float(logit)).positive for logit in logits], np.bool_)
    both = 0 < positive.sum() < len(kept)
    ring = None
    if both and comparison.ring and train:
        ring = _ring(comparison, train, kept, positive)

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
        ring=ring,
    )


def _auc(scores: np.ndarray, positive: np.ndarray, groups: list[str]) -> metrics.Interval:
    return metrics.bootstrap(lambda i: metrics.auc(scores[i], positive[i]), groups)


def _ring(
    comparison: Comparison,
    train: Sequence[Film],
    kept: Sequence[Prediction],
    positive: np.ndarray,
) -> metrics.Interval:
    learned, truth = comparison.sides(train)
    scores = ring_scores([train[i] for i in learned], truth, [p.film for p in kept])
    return _auc(scores, positive, [p.film.group for p in kept])
