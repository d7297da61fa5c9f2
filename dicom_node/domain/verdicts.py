"""Verdicts: what a person found on the films of a study, against which scores are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_node.domain.reading import Stage

#: Reports on one study that become verdicts; more are a fault of the sender, and refused.
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

    def is_ill(self, stage: Stage) -> bool | None:
        """Whether a stage should be positive; None if the verdict does not say."""
        return self.pneumonia if stage == "pneumonia" else self.covid19


class Source(StrEnum):
    """Where a verdict came from. The value is stable across releases."""

    COMMAND = "command"
    CSV = "csv"
    HL7 = "hl7"
    DICOM = "dicom"

    @property
    def is_report(self) -> bool:
        """Whether it came by itself, not by a person's command."""
        return self in (Source.HL7, Source.DICOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One verdict on one study, named by its UID or by digests of its accession number.

    ``given_by`` is the reader's number or login as it was given, or a digest of it, never a
    patient's name. Of several ``accession_keys`` one must be the study's.
    """

    finding: Finding
    source: Source
    given_at: datetime
    given_by: str = ""
    study_instance_uid: str | None = None
    accession_keys: tuple[str, ...] = ()  # `dicom_node.domain.conflicts.accession_key`
    rule: str = ""  # of the rule file, if a report was read
    message_key: str = ""  # digest of the message's number: a study gets one verdict of it


class Fate(StrEnum):
    """What became of a verdict, or of a report that should have been one."""

    STORED = "stored"
    SAME = "same"  # stored already
    UNKNOWN = "unknown"  # of a study that this node does not have
    AMBIGUOUS = "ambiguous"  # several studies have the accession number
    UNREADABLE = "unreadable"  # it lacks a study or a finding, or is broken
    UNDECIDED = "undecided"  # no rule made anything of the report
    PRELIMINARY = "preliminary"  # the report is not final
    TOO_MANY = "too_many"  # the study has `MOST_PER_STUDY` of reports


#: What is no loss.
_WELL = frozenset({Fate.STORED, Fate.SAME, Fate.PRELIMINARY})


@dataclass(slots=True)
class Tally:
    """What became of many verdicts: counts by fate."""

    fates: dict[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))

    def add(self, *fates: Fate) -> None:
        """Count."""
        for fate in fates:
            self.fates[fate] += 1

    def merge(self, other: Tally) -> None:
        """Count what another tally counted."""
        for fate, count in other.fates.items():
            self.fates[fate] += count

    @property
    def lost(self) -> int:
        """How many were not stored and should have been."""
        return sum(count for fate, count in self.fates.items() if fate not in _WELL)

    def as_json(self) -> Mapping[str, int]:
        """The counts in plain JSON values."""
        return {fate.value: count for fate, count in self.fates.items()}
