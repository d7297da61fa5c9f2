"""How often scores agree with verdicts: sensitivity, specificity, AUC and calibration.

A study is one case. Studies of one patient resemble each other, so that intervals are made from
patients, not from studies.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dicom_node.domain.paired import LEAST, placements

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

_Z = NormalDist().inv_cdf(0.975)
_DRAWS = 1000
_PARTS = 5  # of the reliability table: with more, the noise in each looks like an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One study's highest score of a stage, and its verdict."""

    patient: str  # the same for all studies of a patient
    probability: float  # calibrated, in [0, 1]
    positive: bool  # what the stage decided
    ill: bool | None  # the verdict; None: there is none, or it does not say
    study: str = ""  # its UID


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Studies of similar score: the mean probability, and the share that is ill."""

    said: float
    true: float
    studies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of the ROC curve: what would be positive from one of the scores on."""

    sensitivity: float
    false_positives: float  # share of the well studies; 1 - specificity


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """The figures of a group of studies. A figure is None if the studies are too few to say."""

    studies: int
    missing: int  # studies without a verdict that says
    ill: int
    well: int
    sensitivity: Interval | None
    specificity: Interval | None
    auc: Interval | None
    reliability: tuple[Part, ...]  # in order of score; empty if the studies are too few
    roc: tuple[Point, ...]  # from (0, 0) to (1, 1); empty if the studies are too few

    @property
    def is_enough(self) -> bool:
        """Whether there are `LEAST` studies of both kinds."""
        return self.ill >= LEAST and self.well >= LEAST

    def as_json(self) -> dict[str, Any]:
        """The figures in plain JSON values."""
        return {**asdict(self), "least": LEAST, "too_few_to_say": not self.is_enough}


def measure(cases: Sequence[Case]) -> Performance:
    """Compare the scores of studies with their verdicts."""
    known = [case for case in cases if case.ill is not None]
    ill = [case for case in known if case.ill]
    well = [case for case in known if not case.ill]
    enough = len(ill) >= LEAST and len(well) >= LEAST
    return Performance(
        studies=len(cases),
        missing=len(cases) - len(known),
        ill=len(ill),
        well=len(well),
        sensitivity=_share(ill, positive=True) if len(ill) >= LEAST else None,
        specificity=_share(well, positive=False) if len(well) >= LEAST else None,
        auc=_auc_interval(known) if enough else None,
        reliability=_reliability(known) if enough else (),
        roc=_roc(known) if enough else (),
    )


def wilson(hits: int, patients: Sequence[str]) -> Interval:
    """Share of hits with Wilson's score interval (1927), which holds at 0 and 1, too.

    Parameters
    ----------
    patients
        The patient of each study. The interval counts Kish's effective number of patients (1965):
        the number of studies if each patient has one study, fewer otherwise.
    """
    studies = np.unique(np.asarray(patients), return_counts=True)[1]
    count = float(studies.sum() ** 2 / (studies**2).sum())
    p = hits / len(patients)
    middle = (p + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    reach = _Z * math.sqrt(p * (1 - p) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return Interval(value=p, low=max(0.0, middle - reach), high=min(1.0, middle + reach))


def auc(scores: Floats, positive: Bools) -> float:
    """Area under the ROC curve (Mann-Whitney, ties count half); nan with one class only.

    Parameters
    ----------
    scores, positive
        One value for each study, shape (studies,).
    """
    ill, well = scores[positive], scores[~positive]
    return float(placements(ill, well).mean()) if len(ill) and len(well) else float("nan")


def _share(cases: Sequence[Case], *, positive: bool) -> Interval:
    hits = sum(case.positive is positive for case in cases)
    return wilson(hits, [case.patient for case in cases])


def _auc_interval(cases: Sequence[Case]) -> Interval:
    """AUC with percentiles of draws of whole patients (bootstrap, Efron 1979)."""
    scores, positive = _arrays(cases)
    names, member = np.unique([case.patient for case in cases], return_inverse=True)
    studies = [np.flatnonzero(member == number) for number in range(len(names))]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(_DRAWS):
        chosen = np.concatenate([studies[i] for i in rng.integers(len(names), size=len(names))])
        drawn.append(auc(scores[chosen], positive[chosen]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Interval(value=auc(scores, positive), low=float(low), high=float(high))


def _reliability(cases: Sequence[Case]) -> tuple[Part, ...]:
    scores, positive = _arrays(cases)
    parts = np.array_split(np.argsort(scores, kind="stable"), _PARTS)
    return tuple(
        Part(said=float(scores[part].mean()), true=float(positive[part].mean()), studies=len(part))
        for part in parts
    )


def _roc(cases: Sequence[Case]) -> tuple[Point, ...]:
    scores, positive = _arrays(cases)
    cuts = np.append(np.unique(scores), np.inf)[::-1]
    ill, well = np.sort(scores[positive]), np.sort(scores[~positive])
    found, false = (1.0 - np.searchsorted(side, cuts) / len(side) for side in (ill, well))
    return tuple(
        Point(sensitivity=float(one), false_positives=float(other))
        for one, other in zip(found, false, strict=True)
    )


def _arrays(cases: Sequence[Case]) -> tuple[Floats, Bools]:
    scores = np.array([case.probability for case in cases], np.float64)
    return scores, np.array([case.ill for case in cases], np.bool_)
