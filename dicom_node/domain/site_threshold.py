"""A threshold of the site's own, from its films with a verdict.

It is chosen and measured on the same studies, so that the figures flatter it a little; the
intervals are those of so many studies.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_node.domain.paired import LEAST, Pair, Score, compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dicom_node.domain.paired import Comparison
    from dicom_node.domain.performance import Case
    from dicom_node.domain.reading import Stage

#: So many ill studies at least must lie below a threshold of a wanted sensitivity.
LEAST_BELOW = 3
_STEPS = 10_000  # a threshold has four digits


class NoThreshold(Exception):
    """What was asked for has no answer; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the threshold should do: a sensitivity, or the least cost of wrong decisions."""

    sensitivity: float | None = None  # in (0, 1)
    cost_ratio: float | None = None  # a missed ill study costs so many false alarms
    prevalence: float | None = None  # in (0, 1); None: the share of the ill among the verdicts

    def __post_init__(self) -> None:
        costs = self.cost_ratio is not None or self.prevalence is not None
        if (self.sensitivity is not None) == costs:
            raise NoThreshold("give --sensitivity, or --cost-ratio, --prevalence or both")
        for name, value in asdict(self).items():
            most = math.inf if name == "cost_ratio" else 1.0
            if value is not None and not 0.0 < value < most:
                raise NoThreshold(f"--{name.replace('_', '-')} must be above 0 and below {most:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """What a threshold belongs to: scores of other networks, or moved ones, are not comparable."""

    version: str
    digests: Mapping[str, str]  # network -> SHA-256, hex
    prevalence: float | None  # `models.prevalence`, which moves stage 2's scores

    def as_json(self) -> dict[str, Any]:
        """In plain JSON values."""
        return {
            "version": self.version,
            "digests": dict(sorted(self.digests.items())),
            "prevalence": self.prevalence,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A threshold, and what it would change on the site's own studies."""

    stage: Stage
    threshold: float  # probability in (0, 1)
    networks: Networks
    wanted: Wanted
    found: Comparison  # the thresholds in use against this one

    @property
    def digest(self) -> str:
        """SHA-256 over everything that was printed, hex."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """In plain JSON values, without the digest."""
        return {
            "stage": self.stage,
            "threshold": self.threshold,
            "networks": self.networks.as_json(),
            "wanted": asdict(self.wanted),
            **self.found.as_json(),
        }


def propose(cases: Sequence[Case], stage: Stage, networks: Networks, wanted: Wanted) -> Proposal:
    """Choose a threshold, and compare its decisions with those that were made.

    Raises
    ------
    NoThreshold
        The studies with a verdict are too few.
    """
    ill = np.array([case.probability for case in cases if case.ill is True])
    well = np.array([case.probability for case in cases if case.ill is False])
    _refuse_too_few(len(ill), len(well), wanted)
    if wanted.sensitivity is not None:
        chosen = _of_sensitivity(ill, wanted.sensitivity)
    else:
        chosen = _of_least_cost(ill, well, wanted)
    threshold = _inside(chosen)
    return Proposal(
        stage=stage,
        threshold=threshold,
        networks=networks,
        wanted=wanted,
        found=compare([_pair(case, threshold) for case in cases]),
    )


def _refuse_too_few(ill: int, well: int, wanted: Wanted) -> None:
    least_ill = LEAST
    if wanted.sensitivity is not None:
        least_ill = max(LEAST, math.ceil(round(LEAST_BELOW / (1.0 - wanted.sensitivity), 6)))
    if ill < least_ill or well < LEAST:
        raise NoThreshold(
            f"too few to say: {ill} ill and {well} well studies with a verdict; this needs at "
            f"least {least_ill} and {LEAST}"
        )


def _of_sensitivity(ill: NDArray[np.float64], sensitivity: float) -> float:
    """The highest score that so large a share of the ill reaches."""
    reached = math.ceil(round(sensitivity * len(ill), 6))
    return float(np.sort(ill)[len(ill) - reached])


def _of_least_cost(ill: NDArray[np.float64], well: NDArray[np.float64], wanted: Wanted) -> float:
    """The score from which wrong decisions cost least; of equal ones the lowest."""
    prevalence = wanted.prevalence or len(ill) / (len(ill) + len(well))
    scores = np.unique(np.concatenate([ill, well]))
    missed = np.searchsorted(np.sort(ill), scores) / len(ill)
    false = 1.0 - np.searchsorted(np.sort(well), scores) / len(well)
    cost = (wanted.cost_ratio or 1.0) * prevalence * missed + (1.0 - prevalence) * false
    return float(scores[int(np.argmin(cost))])


def _inside(score: float) -> float:
    """Rounded down, so that the study of this score stays positive; inside (0, 1)."""
    return min(max(math.floor(score * _STEPS), 1), _STEPS - 1) / _STEPS


def _pair(case: Case, threshold: float) -> Pair:
    return Pair(
        study_instance_uid=case.study,
        used=Score(probability=case.probability, positive=case.positive, seconds=0.0),
        other=Score(
            probability=case.probability, positive=case.probability >= threshold, seconds=0.0
        ),
        ill=case.ill,
    )
