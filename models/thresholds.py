"""What a site chooses for stages 2 and 3: plain values that import nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

#: Operating points a site can choose from.
PointName: TypeAlias = Literal["balanced", "sensitive", "specific"]
#: An operating point by name, or a probability in (0, 1).
Threshold: TypeAlias = PointName | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What a site chose for stages 2 and 3."""

    pneumonia: Threshold = "balanced"
    covid19: Threshold = "balanced"
