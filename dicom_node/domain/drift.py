"""Whether today's films are still like those of a reference month, without any verdict.

Compared are, for each sender: the pneumonia scores, the distance of the features from the films
the networks learned from, and how many films the gate refuses. The measure is the population
stability index (Siddiqi 2006, Credit Risk Scorecards): below 0.1 nothing has changed, above 0.25
much has.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import asdict, dataclass, field
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Of fewer films than this, on either side, the index is mostly noise.
LEAST = 100

Measure: TypeAlias = Literal["score", "distance", "refused"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

_PARTS = 5  # of the reference films, as many films in each
_EMPTY = 0.5  # films added to each part: an empty one has no logarithm


@dataclass(slots=True, kw_only=True)
class Sample:
    """The films of one sender in some time."""

    scores: list[float] = field(default_factory=list)  # probabilities in [0, 1]
    distances: list[float] = field(default_factory=list)
    read: int = 0
    refused: int = 0  # by the gate

    def values(self, measure: Measure) -> Sequence[float]:
        """One value for each film: for ``refused`` 1 or 0."""
        if measure == "refused":
            return [0.0] * self.read + [1.0] * self.refused
        return self.scores if measure == "score" else self.distances


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """How many films fall below, between and above some edges."""

    edges: tuple[float, ...]  # a value at an edge belongs to the part above
    films: tuple[int, ...]  # one more than edges

    @classmethod
    def of(cls, values: Sequence[float], edges: Sequence[float]) -> Parts:
        """Count values."""
        films = [0] * (len(edges) + 1)
        for value in values:
            films[bisect_right(edges, value)] += 1
        return cls(edges=tuple(edges), films=tuple(films))

    @property
    def total(self) -> int:
        """How many films there are."""
        return sum(self.films)

    def as_json(self) -> dict[str, Any]:
        """In plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One measure of one sender against the reference."""

    sender: str
    measure: Measure
    reference: Parts
    now: Parts

    @property
    def index(self) -> float | None:
        """The population stability index; None if the films are too few to say."""
        if min(self.reference.total, self.now.total) < LEAST:
            return None
        return stability_index(self.reference.films, self.now.films)

    def as_json(self) -> dict[str, Any]:
        """In plain JSON values."""
        return {
            "sender": self.sender,
            "measure": self.measure,
            "index": self.index,
            "edges": list(self.reference.edges),
            "reference": list(self.reference.films),
            "now": list(self.now.films),
            "too_few_to_say": self.index is None,
        }


def stability_index(expected: Sequence[int], found: Sequence[int]) -> float:
    """Population stability index of two counts of the same parts; 0 for the same shares."""
    one, other = ([count + _EMPTY for count in counts] for counts in (expected, found))
    pairs = [(a / sum(one), b / sum(other)) for a, b in zip(one, other, strict=True)]
    return sum((b - a) * math.log(b / a) for a, b in pairs)


def freeze(sample: Sample) -> dict[Measure, Parts]:
    """What is kept of a sender's reference films: fifths of each measure, no film's value."""
    return {measure: _parts(measure, sample.values(measure)) for measure in MEASURES}


def shifts(
    reference: Mapping[str, Mapping[Measure, Parts]], samples: Mapping[str, Sample]
) -> list[Shift]:
    """Compare each sender of the reference with its films now."""
    return [
        Shift(
            sender=sender,
            measure=measure,
            reference=parts,
            now=Parts.of(samples.get(sender, Sample()).values(measure), parts.edges),
        )
        for sender, by_measure in sorted(reference.items())
        for measure, parts in by_measure.items()
    ]


def _parts(measure: Measure, values: Sequence[float]) -> Parts:
    if measure == "refused":
        return Parts.of(values, (0.5,))
    cuts = quantiles(values, n=_PARTS, method="inclusive") if len(values) > 1 else []
    return Parts.of(values, sorted(set(cuts)))
