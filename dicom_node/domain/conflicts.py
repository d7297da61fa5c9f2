"""A second object under a known SOP Instance UID, and the patient of a study as digests."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path


class ConflictOutcome(StrEnum):
    """What happened to the second object."""

    KEPT = "kept-beside"  # on disk, never read
    REFUSED = "refused"
    READ = "read"  # has a row of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """An object that arrived under the SOP Instance UID of another one."""

    sop_instance_uid: str
    study_instance_uid: str  # of the second object
    kept_study_instance_uid: str  # of the first
    sha256: str
    calling_ae_title: str
    received_at: datetime
    outcome: ConflictOutcome
    path: Path | None  # relative to node.data_dir


@dataclass(frozen=True, slots=True)
class PatientKey:
    """Digests of Patient ID, its issuer and the birth date; empty for an empty value.

    With the node's secret, so that a copy of the database does not reveal who the patients are.
    """

    number: str
    issuer: str
    birth_date: str

    @classmethod
    def of(cls, secret: bytes, number: str, issuer: str, birth_date: str) -> PatientKey:
        """Derive the key from the values of a header, without their padding."""
        values = (number, issuer, birth_date)
        return cls(*(_digest(secret, each.strip()) for each in values))

    @classmethod
    def read(cls, text: str) -> PatientKey:
        """Parse what ``str`` wrote."""
        return cls(*text.split("/"))

    @classmethod
    def number_in(cls, text: str | None) -> str:
        """The digest of the Patient ID in what ``str`` wrote; empty if there is none."""
        return cls.read(text).number if text else ""

    def __str__(self) -> str:
        return f"{self.number}/{self.issuer}/{self.birth_date}"

    def agrees(self, other: PatientKey) -> bool:
        """Whether both may be one patient.

        The Patient ID must be the same. Issuer and birth date are often left out, so they only
        count if both have one.
        """
        return (
            self.number == other.number
            and _compatible(self.issuer, other.issuer)
            and _compatible(self.birth_date, other.birth_date)
        )

    def completed(self, other: PatientKey) -> PatientKey:
        """Fill what this key lacks with the values of another that agrees."""
        return PatientKey(
            self.number, self.issuer or other.issuer, self.birth_date or other.birth_date
        )


def accession_key(secret: bytes, number: str) -> str:
    """Digest of an accession number, without its padding; empty for an empty number.

    With the node's secret, and never equal to the digest of a Patient ID of the same characters.
    """
    number = number.strip()
    return _digest(secret, f"accession {number}") if number else ""


def reader_key(secret: bytes, number: str) -> str:
    """Digest of the number, login or name of the person who gave a verdict; empty for none."""
    number = number.strip()
    return _digest(secret, f"reader {number}") if number else ""


def message_key(secret: bytes, sender: str, control_id: str) -> str:
    """Digest of what identifies a message; empty if it has no control ID."""
    return _digest(secret, f"message {sender} {control_id}") if control_id else ""


def _digest(secret: bytes, value: str) -> str:
    if not value:
        return ""
    return hmac.new(secret, value.encode(), hashlib.sha256).hexdigest()[:20]


def _compatible(one: str, other: str) -> bool:
    return not one or not other or one == other
