"""What the gate measures without a network: exposure, lungs at the edge of the film."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: This close to an end of the grey scale is black, or white.
_END = 0.01
#: Lung within this share of a film's side belongs to its edge.
_EDGE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How the middle of a film uses the grey scale."""

    black: float  # share of its pixels
    white: float
    contrast: float  # difference of the 95th and the 5th percentile, in [0, 1]


def exposure(pixels: NDArray[np.float32]) -> Exposure:
    """Measure the middle of a film, where no collimator or marker is expected."""
    rows, columns = pixels.shape
    middle = pixels[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]
    step = max(1, min(middle.shape) // 256)
    sample = middle[::step, ::step]
    low, high = np.percentile(sample, (5.0, 95.0))
    return Exposure(
        black=float((sample <= _END).mean()),
        white=float((sample >= 1.0 - _END).mean()),
        contrast=float(high - low),
    )


def lungs_at_edge(lungs: NDArray[np.generic]) -> float:
    """Largest share of any side of the film that lies in lung; the mask covers the film."""
    rows, columns = (max(1, round(_EDGE * side)) for side in lungs.shape)
    sides = (
        lungs[:rows].any(axis=0),
        lungs[-rows:].any(axis=0),
        lungs[:, :columns].any(axis=1),
        lungs[:, -columns:].any(axis=1),
    )
    return max(float(side.mean()) for side in sides)
