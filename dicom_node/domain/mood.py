"""What the PACS of a rehearsal does."""

from __future__ import annotations

from enum import StrEnum


class Mood(StrEnum):
    """How the PACS behaves; `DOWN` and `REFUSING` end after half of the time."""

    NORMAL = "normal"
    SLOW = "slow"  # each answer takes a second
    DOWN = "down"  # nothing listens
    REFUSING = "refusing"  # each object is refused for good
