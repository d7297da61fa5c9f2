"""The arguments of every benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where and how often one group measures."""

    scratch: Path  # an empty folder of the group's own, on the disk that is measured
    repeat: int = 5  # measurements of each figure
