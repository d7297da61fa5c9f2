"""A reading in numbers, as it is stored, audited and printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.domain.reading import (
    AsymmetrySummary,
    HeatCheckSummary,
    ReadingSummary,
    StageSummary,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.reading import Asymmetry, HeatCheck, Reading, StageResult

# Notes of an image that say what was unusual about its pixels.
_UNUSUAL = ("aspect", "mirrored", "decoding", "header")


def summary(
    reading: Reading, seconds: dict[str, float], notes: Mapping[str, str], config_digest: str
) -> ReadingSummary:
    """Summarise a reading: probabilities to 6 decimal places, all else to 4."""
    return ReadingSummary(
        lung_area=round(reading.lungs.area_fraction, 4),
        asymmetry=_asymmetry(reading.lungs.asymmetry) if reading.lungs.asymmetry else None,
        pneumonia=_stage(reading.pneumonia),
        covid19=_stage(reading.covid19) if reading.covid19 else None,
        explanation=_explanation(reading.heat_check) if reading.heat_check else None,
        model_version=reading.model.version,
        model_digests=reading.model.digests,
        seconds={name: round(value, 4) for name, value in seconds.items()},
        polarity=notes.get("polarity"),
        config_digest=config_digest,
        distance=round(reading.distance, 4) if "gate" in reading.model.digests else None,
        notes={name: notes[name] for name in _UNUSUAL if name in notes},
    )


def _stage(result: StageResult) -> StageSummary:
    return StageSummary(
        probability=round(result.probability, 6),
        threshold=result.threshold,
        positive=result.positive,
        point=result.point,
    )


def _asymmetry(found: Asymmetry) -> AsymmetrySummary:
    return AsymmetrySummary(
        area_ratio=round(found.area_ratio, 4),
        base_difference=round(found.base_difference, 4),
        suspicious=found.suspicious,
    )


def _explanation(check: HeatCheck) -> HeatCheckSummary:
    return HeatCheckSummary(
        inside_lungs=round(check.inside_lungs, 4),
        drop=_rounded(check.drop),
        random_drop=_rounded(check.random_drop),
        reliable=check.reliable,
        log_odds_drop=_rounded(check.log_odds_drop),
        random_log_odds_drop=_rounded(check.random_log_odds_drop),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
