"""Where in the lungs something lies, in words: side and third of the lung's height."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.reading import BASE_PERCENTILE, MOST_BASE_DIFFERENCE, BoolMap, Reading

Side: TypeAlias = Literal["right", "left"]
Zone: TypeAlias = Literal["upper", "middle", "lower"]


@dataclass(frozen=True, slots=True)
class Place:
    """A zone of a lung; the sides are the patient's, who faces the reader."""

    side: Side
    zone: Zone

    @property
    def name(self) -> str:
        """The field of `phrases.Words` that says it."""
        return f"{self.side}_{self.zone}"


def place_of(heat: NDArray[np.float64], lungs: BoolMap) -> Place:
    """Locate the centre of some heat.

    Parameters
    ----------
    heat
        Of one region, 0 elsewhere; the same size as ``lungs``.
    lungs
        Both lungs, as the reader sees them: the patient's right is at the left.
    """
    row, column = ndimage.center_of_mass(heat)
    middle = _middle(lungs)
    side: Side = "right" if column < middle else "left"
    columns = np.arange(lungs.shape[1])
    own = lungs & ((columns < middle) if side == "right" else (columns >= middle))
    rows = np.flatnonzero((own if own.any() else lungs).any(axis=1))
    third = (rows[-1] + 1 - rows[0]) / 3
    zone: Zone = (
        "upper" if row < rows[0] + third else "middle" if row < rows[0] + 2 * third else "lower"
    )
    return Place(side, zone)


def smaller_lung(reading: Reading) -> Side:
    """Return the lung whose base is higher, or else the smaller one; for asymmetric outlines."""
    labels, _ = ndimage.label(reading.lungs.mask)
    areas = np.bincount(labels.ravel())[1:3]
    places = [np.argwhere(labels == one) for one in (1, 2)]
    asymmetry = reading.lungs.asymmetry
    if asymmetry is not None and asymmetry.base_difference > MOST_BASE_DIFFERENCE:
        small = int(np.argmin([np.percentile(each[:, 0], BASE_PERCENTILE) for each in places]))
    else:
        small = int(areas.argmin())
    here, other = (places[one][:, 1].mean() for one in (small, 1 - small))
    return "right" if here < other else "left"


def _middle(lungs: BoolMap) -> float:
    """Return the column between the lungs: halfway between their left and right borders."""
    columns = np.flatnonzero(lungs.any(axis=0))
    return float(columns[0] + columns[-1]) / 2 if columns.size else lungs.shape[1] / 2
