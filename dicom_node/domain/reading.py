"""What one reading found, in numbers: stored, audited and printed; the heatmaps are objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

#: A score that is no further than this from its cut-off is called near it, points of 100.
NEAR = 5

#: How a score compares with its cut-off, on either side of it if it is near.
Side: TypeAlias = Literal["above", "near", "below"]

#: What readings are counted by; days and weeks (ISO 8601) are those of UTC.
Grouping: TypeAlias = Literal["day", "week", "sender"]

#: What `performance` groups studies by, of their first film; the hour is that of UTC.
By: TypeAlias = Literal["ae", "modality", "view", "age", "hour"]

#: The two scores.
Stage: TypeAlias = Literal["pneumonia", "covid19"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSummary:
    """One network's decision: a calibrated probability in [0, 1] against its threshold."""

    probability: float
    threshold: float
    positive: bool
    point: str | None = None  # its operating point; "site": a number of the site; None: not kept

    @property
    def side(self) -> Side:
        """How the score compares with its cut-off, both as whole points."""
        if abs(round(100 * self.probability) - round(100 * self.threshold)) <= NEAR:
            return "near"
        return "above" if self.positive else "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatCheckSummary:
    """Whether the stage-2 heatmap shows what the decision came from, see `models.heat_check`."""

    inside_lungs: float  # share of the heat inside the lung field, in [0, 1]
    drop: float | None  # of the probability with the hottest region hidden; None: not tested
    random_drop: (
        float | None
    )  # with as much of the lungs hidden elsewhere; None: `log_odds_drop` too small
    reliable: bool | None  # None: not tested
    log_odds_drop: float | None = (
        None  # as `drop`, of the calibrated log odds; None: not tested, not kept
    )
    random_log_odds_drop: float | None = None  # as `random_drop`, of the calibrated log odds


@dataclass(frozen=True, slots=True, kw_only=True)
class AsymmetrySummary:
    """How one lung's outline differs from the other's."""

    area_ratio: float  # smaller over larger lung, in [0, 1]
    base_difference: float  # of their lower ends, share of the film's height, in [0, 1]
    suspicious: bool  # the outline may leave out a part of a lung


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingSummary:
    """A reading without its heatmaps and masks.

    ``as_json`` and ``from_json`` are the one spelling that `read --json`, `show --json`, the audit
    log and the table of readings share.
    """

    lung_area: float  # share of the film, in [0, 1]
    pneumonia: StageSummary
    asymmetry: AsymmetrySummary | None = None  # None: no two lungs were found
    covid19: StageSummary | None = None  # None: stage 3 did not run
    explanation: HeatCheckSummary | None = None  # None: the heatmap was not checked
    model_version: str
    model_digests: Mapping[str, str] = field(default_factory=dict)  # network -> SHA-256, hex
    seconds: Mapping[str, float] = field(default_factory=dict)  # step -> wall time
    polarity: str | None = None  # what the gate did about a wrong polarity; None: nothing
    config_digest: str | None = None
    distance: float | None = None  # of the features from those learned from; None: not measured
    notes: Mapping[str, str] = field(default_factory=dict)  # what was unusual about the pixels

    @property
    def networks(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Version and digests: scores of other networks are not comparable."""
        return self.model_version, tuple(sorted(self.model_digests.items()))

    def of(self, stage: Stage) -> StageSummary | None:
        """What one stage said; None if it did not run."""
        return self.pneumonia if stage == "pneumonia" else self.covid19

    def as_json(self) -> dict[str, object]:
        """The summary in plain JSON values."""
        return {
            "lungs": {
                "area_fraction": self.lung_area,
                "asymmetry": asdict(self.asymmetry) if self.asymmetry else None,
            },
            "pneumonia": asdict(self.pneumonia),
            "covid19": asdict(self.covid19) if self.covid19 else None,
            "explanation": asdict(self.explanation) if self.explanation else None,
            "model": {"version": self.model_version, **self.model_digests},
            "seconds": dict(self.seconds),
            "polarity": self.polarity,
            "config_digest": self.config_digest,
            "distance": self.distance,
            "notes": dict(self.notes),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ReadingSummary:
        """Read what `as_json` wrote; a key that an older version did not write is None."""
        covid19, explanation = values.get("covid19"), values.get("explanation")
        asymmetry = values["lungs"].get("asymmetry")
        model = dict(values["model"])
        return cls(
            lung_area=values["lungs"]["area_fraction"],
            pneumonia=StageSummary(**values["pneumonia"]),
            asymmetry=AsymmetrySummary(**asymmetry) if asymmetry else None,
            covid19=StageSummary(**covid19) if covid19 else None,
            explanation=HeatCheckSummary(**explanation) if explanation else None,
            model_version=model.pop("version"),
            model_digests=model,
            seconds=values["seconds"],
            polarity=values.get("polarity"),
            config_digest=values.get("config_digest"),
            distance=values.get("distance"),
            notes=values.get("notes") or {},
        )
