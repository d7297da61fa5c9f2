"""Verdicts: what a person found on the films of a study, against which scores are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

#: Verdicts of one study that are kept; of more, the oldest superseded ones leave.
MOST_PER_STUDY = 50


class Finding(StrEnum):
    """What a verdict says of a study. The value is stable across releases."""

    NORMAL = "normal"
    PNEUMONIA = "pneumonia"
    COVID19 = "covid19"
    OTHER = "other"  # something else than pneumonia
    UNKNOWN = "unknown"  # the reader could not say

    @property
    def pneumonia(self) -> bool | None:
        """Whether stage 2 should be positive; None if the verdict does not say."""
        if self is Finding.UNKNOWN:
            return None
        return self in (Finding.PNEUMONIA, Finding.COVID19)

    @property
    def covid19(self) -> bool | None:
        """Whether stage 3 should be positive; None unless the verdict is a pneumonia."""
        return self is Finding.COVID19 if self.pneumonia else None


class Source(StrEnum):
    """Where a verdict came from. The value is stable across releases."""

    COMMAND = "command"
    CSV = "csv"
    HL7 = "hl7"
    DICOM = "dicom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One verdict on one study, named by its UID or by the digest of its accession number.

    ``given_by`` is the reader's number or login as it was given, never a patient's name.
    """

    finding: Finding
    source: Source
    given_at: datetime
    given_by: str = ""
    study_instance_uid: str | None = None
    accession_key: str | None = None  # `dicom_node.domain.conflicts.accession_key`


class Fate(StrEnum):
    """What became of a verdict."""

    STORED = "stored"
    SAME = "same"  # stored already
    UNKNOWN = "unknown"  # of a study that this node does not have
    AMBIGUOUS = "ambiguous"  # several studies have the accession number


@dataclass(slots=True)
class Tally:
    """What became of many verdicts: counts by fate, and of those that could not be read."""

    fates: dict[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))
    unreadable: int = 0  # neither a study nor a finding could be made of it

    def add(self, *fates: Fate) -> None:
        """Count."""
        for fate in fates:
            self.fates[fate] += 1

    @property
    def lost(self) -> int:
        """How many were neither stored nor known already."""
        kept = self.fates[Fate.STORED] + self.fates[Fate.SAME]
        return sum(self.fates.values()) - kept + self.unreadable

    def as_json(self) -> Mapping[str, int]:
        """The counts in plain JSON values."""
        return {fate.value: count for fate, count in self.fates.items()} | {
            "unreadable": self.unreadable
        }
