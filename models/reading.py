"""The networks' results for one film: types shared by networks, node and training.

Numpy only, so that anyone may import it. All maps are in the network frame: square, the film
letterboxed into it; `Frame` leads back to the film's own pixels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.thresholds import PointName

FloatMap: TypeAlias = NDArray[np.float32]
BoolMap: TypeAlias = NDArray[np.bool_]

#: Lungs whose outlines differ more than this are warned of.
LEAST_AREA_RATIO, MOST_BASE_DIFFERENCE = 0.72, 0.10
#: A lung's base: the row with this percentage of its pixels above it. The lowest row would be that
#: of the costophrenic angle, which may be thin and reach far down.
BASE_PERCENTILE = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where a film of ``rows`` x ``columns`` lies inside the square network frame.

    The film is scaled by ``scale`` (network pixels per film pixel), its aspect kept, and placed
    with its first row at ``top`` and its first column at ``left``.
    """

    rows: int
    columns: int
    size: int  # side of the network frame, pixels
    scale: float
    top: int  # network pixels
    left: int  # network pixels
    height: int  # of the film in the network frame, pixels
    width: int  # of the film in the network frame, pixels

    def crop(self, network_map: NDArray[np.generic]) -> NDArray[np.generic]:
        """Cut the padding off: (size, size) -> (height, width)."""
        return network_map[self.top : self.top + self.height, self.left : self.left + self.width]

    def to_film(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Network (column, row) points, (N, 2), to the film's; pixel centres are whole numbers."""
        origin = np.array([self.left, self.top], dtype=np.float64)
        ratio = np.array([self.columns / self.width, self.rows / self.height])
        film: NDArray[np.float64] = (points + 0.5 - origin) * ratio - 0.5
        return film


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """One network's decision.

    ``probability`` is calibrated (temperature applied) and in [0, 1]; ``temperature`` belongs to
    the model version, ``threshold`` to its operating point ``point`` or, if that is ``site``, to
    the site; ``logit`` is what came out of the network before calibration. ``normals_above`` was
    measured on films of normal chests, None if it was not.
    """

    probability: float
    threshold: float
    logit: float
    temperature: float = 1.0
    normals_above: float | None = None  # share of normal films at or above the threshold
    point: PointName | Literal["site"] = "balanced"

    @property
    def positive(self) -> bool:
        """At or above the threshold."""
        return self.probability >= self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Asymmetry:
    """How one lung's outline differs from the other's.

    If much is missing, the outline may leave out a consolidated part, and no later stage looks
    there.
    """

    area_ratio: float  # smaller over larger lung, in [0, 1]
    base_difference: float  # at `BASE_PERCENTILE`, share of the film's height, in [0, 1]

    @property
    def suspicious(self) -> bool:
        """Whether the report must warn of the asymmetry; this is rare in normal films."""
        return self.area_ratio < LEAST_AREA_RATIO or self.base_difference > MOST_BASE_DIFFERENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Lungs:
    """Stage 1: the lung field (heart shadow included) that later stages see, without margin.

    ``aerated`` is the same lungs with the heart left out, as radiologists outline them.
    """

    mask: BoolMap  # (size, size)
    aerated: BoolMap  # (size, size)
    area_fraction: float  # of the film's own area, in [0, 1]
    asymmetry: Asymmetry | None = None  # None: no two lungs were found


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """The limits above which the input gate refuses; chosen on validation films."""

    lateral: float  # a chest from the side at or above this probability
    part: float  # only a part of a chest at or above this probability
    other: float  # no chest film at or above this probability
    turned: float  # not upright at or above this probability
    inverted: float  # wrong polarity at or above this probability
    distance: float  # unlike the films learned from beyond this
    lung_area: float  # no chest where the lungs take less than this share of the film
    lungs_at_edge: float  # cropped where a larger share of any side of the film cuts through lung
    black: float  # badly exposed above this share of black pixels
    white: float  # badly exposed above this share of white pixels
    contrast: float  # badly exposed below this difference of dark and bright, in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The outputs of the gate's network for a picture, before any chest network runs."""

    kinds: dict[str, float]  # frontal, lateral, part (of a chest film), other -> probability
    turns: dict[int, float]  # degrees a film was turned by, anticlockwise -> probability
    inverted: float  # probability that bone is black
    limits: GateLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatCheck:
    """Whether the stage-2 heatmap shows what the decision came from, see `models.heat_check`."""

    inside_lungs: float  # share of the heat inside the lung field, in [0, 1]; 1 without any heat
    drop: float | None  # of the probability with the hottest region hidden; None: not tested
    random_drop: float | None  # with as much hidden elsewhere; None: `log_odds_drop` too small
    reliable: bool | None  # None: not tested
    log_odds_drop: float | None = None  # as `drop`, of the calibrated log odds, which decide
    random_log_odds_drop: float | None = None  # as `random_drop`, of the calibrated log odds


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The cascade's complete result for one film.

    ``h2`` is the stage-2 heatmap (paper eq. 1, as the manifest's variant reads it), ``h3`` the
    stage-3 Grad-CAM, ``guided`` the Guided Grad-CAM; each (size, size) float32 in [0, 1], 0 where
    it says nothing, the last two None if stage 3 did not run, ``guided`` also where not asked for.
    ``seconds`` holds wall times under ``lungs``, ``pneumonia``, ``covid19`` and ``explain``.
    """

    frame: Frame
    lungs: Lungs
    pneumonia: StageResult
    covid19: StageResult | None
    h2: FloatMap
    h3: FloatMap | None
    guided: FloatMap | None
    model: ModelIdentity
    distance: float = 0.0  # of stage 2's features from the films it learned from, see `GateLimits`
    heat_check: HeatCheck | None = None
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which networks were used: a version for people, SHA-256 digests for machines."""

    version: str
    digests: dict[str, str]  # network name -> sha256 of its weights file, hex
    h2_variant: str  # "cam" or "paper-eq1"
    manifest: str = ""  # sha256 of all the manifest says: thresholds, temperatures, limits; hex
    learned_before: date | None = None  # it learned from a site's films taken before this day

    @property
    def digest(self) -> str:
        """One SHA-256 over everything that decides: weights and manifest."""
        parts = [self.version, self.h2_variant, self.manifest]
        parts += [f"{name}={digest}" for name, digest in sorted(self.digests.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
