"""Two model versions on the same studies: which decisions differ, and which version is better.

A study is counted once, with the highest score of its films. What is compared is the decision of
one stage, with the verdict of a radiologist where there is one.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist, median
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

#: Fewer ill or fewer well studies than this say too little about sensitivity or specificity.
LEAST = 30

_Z = NormalDist().inv_cdf(0.975)
_Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A version that may replace the one in use."""

    version: str
    digest: str  # `ModelIdentity.digest`
    learned_before: date | None  # it learned from films of this node taken before this day

    def as_json(self) -> dict[str, str | None]:
        """In plain JSON values."""
        day = self.learned_before
        return {
            "version": self.version,
            "digest": self.digest,
            "learned_before": day.isoformat() if day else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one stage of one version made of a study."""

    probability: float  # in [0, 1]
    positive: bool
    seconds: float  # wall time of all its films


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One study, read by the version in use and by the other one."""

    study_instance_uid: str
    used: Score
    other: Score
    ill: bool | None  # whether the stage should be positive; None: no verdict says

    @property
    def differs(self) -> bool:
        """Whether the two versions decide differently."""
        return self.used.positive != self.other.positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A figure of both versions, and the difference (other minus used) with its 95 % interval."""

    used: float
    other: float
    difference: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.used:.3f} -> {self.other:.3f}, difference {self.difference:+.3f} "
            f"({self.low:+.3f} to {self.high:+.3f})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions compared. A figure is None if the studies are too few to say."""

    studies: int
    differ: tuple[Pair, ...]
    ill: int  # studies with a verdict
    well: int
    auc: Change | None  # DeLong
    sensitivity: Change | None  # Agresti and Min
    specificity: Change | None
    balanced: Change | None  # the mean of sensitivity and specificity
    p_ill: float | None  # McNemar's exact test, on the ill studies
    p_well: float | None
    seconds: tuple[float, float] | None  # median of a study: used, other

    @property
    def is_enough(self) -> bool:
        """Whether there are enough verdicts of both kinds."""
        return self.ill >= LEAST and self.well >= LEAST

    def as_json(self) -> dict[str, Any]:
        """Everything in plain JSON values."""
        return {
            "studies": self.studies,
            "differ": [
                {
                    "study_instance_uid": pair.study_instance_uid,
                    "used": asdict(pair.used),
                    "other": asdict(pair.other),
                    "ill": pair.ill,
                }
                for pair in self.differ
            ],
            "verdicts": {"ill": self.ill, "well": self.well, "least": LEAST},
            "too_few_to_say": not self.is_enough,
            **{
                name: None if change is None else asdict(change)
                for name, change in self.changes().items()
            },
            "mcnemar_p": {"ill": self.p_ill, "well": self.p_well},
            "median_seconds": None
            if self.seconds is None
            else {"used": self.seconds[0], "other": self.seconds[1]},
        }

    def changes(self) -> dict[str, Change | None]:
        """The four figures by name."""
        return {
            "auc": self.auc,
            "sensitivity": self.sensitivity,
            "specificity": self.specificity,
            "balanced": self.balanced,
        }


def compare(pairs: Sequence[Pair]) -> Comparison:
    """Compare two versions on the same studies.

    The difference of AUC has DeLong's interval (DeLong, DeLong and Clarke-Pearson 1988), those of
    sensitivity and specificity Agresti and Min's for matched pairs (2005). Studies count as
    independent; several studies of one patient make the intervals a little too narrow.
    """
    known = [pair for pair in pairs if pair.ill is not None]
    ill = [pair for pair in known if pair.ill]
    well = [pair for pair in known if not pair.ill]
    enough = len(ill) >= LEAST and len(well) >= LEAST
    sensitivity = _hits([(p.used.positive, p.other.positive) for p in ill])
    specificity = _hits([(not p.used.positive, not p.other.positive) for p in well])
    return Comparison(
        studies=len(pairs),
        differ=tuple(pair for pair in pairs if pair.differs),
        ill=len(ill),
        well=len(well),
        auc=_auc(ill, well) if enough else None,
        sensitivity=sensitivity if len(ill) >= LEAST else None,
        specificity=specificity if len(well) >= LEAST else None,
        balanced=_mean(sensitivity, specificity)
        if sensitivity and specificity and enough
        else None,
        p_ill=_mcnemar(ill) if len(ill) >= LEAST else None,
        p_well=_mcnemar(well) if len(well) >= LEAST else None,
        seconds=(median(p.used.seconds for p in pairs), median(p.other.seconds for p in pairs))
        if pairs
        else None,
    )


def _auc(ill: Sequence[Pair], well: Sequence[Pair]) -> Change:
    """DeLong: each study's placement among those of the other side, under both versions."""
    areas, of_ill, of_well = [], [], []
    for name in ("used", "other"):
        high = np.array([getattr(pair, name).probability for pair in ill])
        low = np.array([getattr(pair, name).probability for pair in well])
        of_ill.append(placements(high, low))
        of_well.append(1.0 - placements(low, high))
        areas.append(float(of_ill[-1].mean()))
    variance = _variance(of_ill[1] - of_ill[0]) + _variance(of_well[1] - of_well[0])
    return _change(areas[0], areas[1], areas[1] - areas[0], math.sqrt(variance))


def placements(scores: _Floats, others: _Floats) -> _Floats:
    """For each score, the share of the other side's scores below it; ties count half.

    Their mean is the area under the ROC curve (Mann-Whitney), if the scores are those of the ill.
    """
    ordered = np.sort(others)
    below = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return np.asarray(below / (2.0 * len(ordered)), np.float64)


def _variance(values: _Floats) -> float:
    """Variance of a mean."""
    return float(values.var(ddof=1)) / len(values)


def _hits(hits: Sequence[tuple[bool, bool]]) -> Change | None:
    """Agresti and Min's interval of the difference of two paired shares; None without studies."""
    if not hits:
        return None
    count = len(hits)
    lost = sum(used and not other for used, other in hits)
    won = sum(other and not used for used, other in hits)
    used, other = (sum(each[i] for each in hits) / count for i in (0, 1))
    difference, more = (won - lost) / (count + 2), count + 2
    spread = math.sqrt(won + lost + 1 - (won - lost) ** 2 / more) / more
    return Change(
        used=used,
        other=other,
        difference=other - used,
        low=max(-1.0, difference - _Z * spread),
        high=min(1.0, difference + _Z * spread),
    )


def _mean(one: Change, two: Change) -> Change:
    """The mean of two figures of different studies."""
    spread = math.hypot(one.high - one.low, two.high - two.low) / (4 * _Z)
    middle = (one.low + one.high + two.low + two.high) / 4
    used, other = (one.used + two.used) / 2, (one.other + two.other) / 2
    return Change(
        used=used,
        other=other,
        difference=other - used,
        low=middle - _Z * spread,
        high=middle + _Z * spread,
    )


def _change(used: float, other: float, difference: float, spread: float) -> Change:
    return Change(
        used=used,
        other=other,
        difference=difference,
        low=max(-1.0, difference - _Z * spread),
        high=min(1.0, difference + _Z * spread),
    )


def _mcnemar(pairs: Sequence[Pair]) -> float:
    """Two-sided exact p of McNemar's test: as many decisions changed one way as the other."""
    up = sum(pair.differs and pair.other.positive for pair in pairs)
    changed = sum(pair.differs for pair in pairs)
    rarer = min(up, changed - up)
    tail = sum(math.comb(changed, k) for k in range(rarer + 1))
    return min(1.0, float(2 * tail / 2**changed))
