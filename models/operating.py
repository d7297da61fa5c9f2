"""How a logit becomes a decision: the operating points of stages 2 and 3, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from models.manifest import Classifier, Manifest, WeightsError, read_manifest
from models.reading import StageResult
from models.thresholds import PointName

__all__ = ["OperatingPoint", "WeightsError", "operating_points", "read_points"]

if TYPE_CHECKING:
    from pathlib import Path

    from models.thresholds import Threshold, Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """How a logit becomes a decision: sigmoid((logit + bias) / temperature) against a threshold."""

    threshold: float  # probability in [0, 1]
    temperature: float = 1.0  # > 0
    bias: float = 0.0
    normals_above: float | None = None  # share of normal films at or above the threshold
    name: PointName | Literal["site"] = "balanced"

    def decide(self, logit: float) -> StageResult:
        """Calibrate one logit."""
        return StageResult(
            probability=_sigmoid((logit + self.bias) / self.temperature),
            threshold=self.threshold,
            logit=logit,
            temperature=self.temperature,
            normals_above=self.normals_above,
            point=self.name,
        )

    def moved(self, learned: float, prevalence: float) -> OperatingPoint:
        """Move probabilities and threshold from one prevalence to another.

        Parameters
        ----------
        learned, prevalence
            Share of ill films that the probabilities speak of now, and from now on; in (0, 1).

        Returns
        -------
        OperatingPoint
            With another bias and threshold; a threshold of 0 or 1 stays. Every film stays on its
            side of the threshold.

        Notes
        -----
        Bayes' rule adds the difference of the prevalences' log odds to the log odds of every film.
        """
        shift = _log_odds(prevalence) - _log_odds(learned)
        inside = 0.0 < self.threshold < 1.0
        return replace(
            self,
            bias=self.bias + shift * self.temperature,
            threshold=_sigmoid(_log_odds(self.threshold) + shift) if inside else self.threshold,
        )


def operating_points(
    manifest: Manifest, thresholds: Thresholds, prevalence: float | None = None
) -> tuple[OperatingPoint, OperatingPoint]:
    """Operating points of stages 2 and 3 as a site chose them.

    Parameters
    ----------
    manifest
        Thresholds, temperature, bias and prevalence of each network.
    thresholds
        The site's choice: the name of a point, or a probability in (0, 1).
    prevalence
        Share of pneumonia among the site's films, in (0, 1); None for the manifest's. Stage 2's
        probabilities move there, and a named threshold with them. A number is compared with the
        moved probability and stays. Stage 3 does not move.

    Returns
    -------
    pneumonia, covid19 : OperatingPoint
        Named `site` if the choice was a number.

    Raises
    ------
    WeightsError
        These models do not have a point of that name.
    """
    networks = manifest.networks
    return (
        _point("pneumonia", networks.pneumonia, thresholds.pneumonia, prevalence),
        _point("covid19", networks.covid19, thresholds.covid19, None),
    )


def read_points(
    directory: Path, thresholds: Thresholds, prevalence: float | None = None
) -> tuple[OperatingPoint, OperatingPoint]:
    """`operating_points` of a models directory; the weights are not read.

    Raises
    ------
    WeightsError
        The manifest cannot be read, or does not have a point of that name.
    """
    return operating_points(read_manifest(directory), thresholds, prevalence)


def _point(
    name: str, entry: Classifier, choice: Threshold, prevalence: float | None
) -> OperatingPoint:
    point: PointName = choice if isinstance(choice, str) else "balanced"
    try:
        threshold = entry.threshold_at(point)
    except WeightsError as error:
        raise WeightsError(f"{name}: {error}") from error
    learned = OperatingPoint(
        threshold=threshold,
        temperature=entry.temperature,
        bias=entry.bias,
        normals_above=getattr(entry.normals_above, point),
        name=point,
    )
    moved = learned.moved(entry.prevalence, prevalence) if prevalence else learned
    if isinstance(choice, str):
        return moved
    return replace(moved, threshold=choice, normals_above=None, name="site")


def _sigmoid(z: float) -> float:
    """Logistic function; tanh never overflows, whatever the logit."""
    return 0.5 * (1.0 + math.tanh(0.5 * z))


def _log_odds(probability: float) -> float:
    return math.log(probability) - math.log1p(-probability)
