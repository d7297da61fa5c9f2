"""The patient number of a study, for repositories that need it: read from a film in the spool.

It is read when a message is made; neither the audit log nor the database keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread

from dicom_node.audit.messages.message import UNKNOWN
from dicom_node.dicom.blobs import BlobsAway
from dicom_node.dicom.malformed import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_node.dicom.blobs import Blobs

_TAGS = ["SpecificCharacterSet", "PatientID"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientNumbers:
    """Looks up patient numbers.

    Parameters
    ----------
    film_of
        The name of a film of a study; None if there is none.
    """

    blobs: Blobs
    film_of: Callable[[str], Path | None]

    def number(self, study_instance_uid: str) -> str:
        """Patient ID (0010,0020) of the study; "unknown" if it has none or its films are gone."""
        path = self.film_of(study_instance_uid)
        return UNKNOWN if path is None else patient_number(self.blobs, path) or UNKNOWN


def patient_number(blobs: Blobs, name: Path) -> str:
    """Patient ID (0010,0020) of a film; empty if it has none or cannot be read."""
    try:
        with blobs.local(name) as film:
            ds = dcmread(film, stop_before_pixels=True, specific_tags=_TAGS)
            return str(ds.get("PatientID") or "").strip()
    except BlobsAway:
        raise
    except (OSError, *MALFORMED):
        return ""
