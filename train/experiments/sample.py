"""Test films of two classes, and how well logits separate them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.data.films import COVID, NORMAL, PNEUMONIA, Film
from train.evaluation import metrics
from train.evaluation.comparisons import CASE_REPORTS, labelled
from train.evaluation.metrics import Interval

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Films of two classes. Intervals resample whole patients; those of a share are Wilson's.

    Logits are given of all films that the sample was chosen from, (N,).
    """

    at: NDArray[np.intp]  # of the films, and of the logits given below
    positive: NDArray[np.bool_]
    groups: list[str]
    draws: int = 2000

    def auc(self, logits: Floats) -> Interval:
        """AUC."""
        own = logits[self.at]
        return self._interval(lambda i: metrics.auc(own[i], self.positive[i]))

    def gain(self, logits: Floats, other: Floats) -> Interval:
        """AUC of ``logits`` less that of ``other``, paired: over the same draws of patients."""
        mine, theirs = logits[self.at], other[self.at]
        return self._interval(
            lambda i: (
                metrics.auc(mine[i], self.positive[i]) - metrics.auc(theirs[i], self.positive[i])
            )
        )

    def moved(self, logits: Floats, other: Floats) -> Interval:
        """Mean absolute difference of two networks' probabilities, in [0, 1]."""
        apart = np.abs(_probability(logits[self.at]) - _probability(other[self.at]))
        return self._interval(lambda i: float(apart[i].mean()))

    def recalled(self, logits: Floats, *, positive: bool) -> Interval:
        """Sensitivity at a probability of 1/2, or specificity if ``positive`` is False."""
        side = self.positive == positive
        right = (logits[self.at] > 0) == self.positive
        return metrics.share(
            right[side], [g for g, on in zip(self.groups, side, strict=True) if on]
        )

    def _interval(self, statistic: Callable[[NDArray[np.intp]], float]) -> Interval:
        return metrics.bootstrap(statistic, self.groups, draws=self.draws)


def sample(
    films: Sequence[Film],
    negative: Callable[[Film], bool],
    positive: Callable[[Film], bool],
    draws: int = 2000,
) -> Sample:
    """Choose the films of both classes.

    Parameters
    ----------
    films
        Films of neither class are left out.
    negative, positive
        Whether a film is of the class.
    draws
        Of patients, for the intervals.
    """
    at = [i for i, film in enumerate(films) if negative(film) or positive(film)]
    return Sample(
        at=np.array(at, np.intp),
        positive=np.array([positive(films[i]) for i in at], np.bool_),
        groups=[films[i].group for i in at],
        draws=draws,
    )


def covid_or_other(
    films: Sequence[Film],
    source: str,
    draws: int,
    part: Callable[[Film], bool] = lambda film: True,
) -> Sample:
    """Choose the other pneumonias and the COVID-19 films of one source, or of a part of it.

    Parameters
    ----------
    films
        Of any source and label.
    source
        Its name.
    draws
        Of patients, for the intervals.
    part
        Whether a film is of the part; by default all are.
    """
    other, covid = labelled((PNEUMONIA,), source), labelled((COVID,), source)
    return sample(
        films,
        lambda film: other(film) and part(film),
        lambda film: covid(film) and part(film),
        draws,
    )


def is_case_report(film: Film) -> bool:
    """Whether the film's sub-source publishes case reports of both kinds of pneumonia."""
    return film.subsource in CASE_REPORTS


def normal_or_ill(
    films: Sequence[Film], sets: dict[str, tuple[str, ...]], draws: int
) -> dict[str, Sample]:
    """Normal films against films with any pneumonia, on several test sets.

    Parameters
    ----------
    films
        Films of all sets.
    sets
        Name -> sources.
    draws
        Of patients, for the intervals.
    """
    ill = (PNEUMONIA, COVID)
    return {
        name: sample(films, labelled((NORMAL,), *sources), labelled(ill, *sources), draws)
        for name, sources in sets.items()
    }


def _probability(logits: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))
