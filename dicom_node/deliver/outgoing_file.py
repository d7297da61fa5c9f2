"""A file on its way out: what it is, as its File Meta Information says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom.dsutils import split_dataset

from dicom_node.deliver.status import unavailable, unreadable
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.dicom.uids import is_uid

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.domain.values import Answer

#: What we re-encode to where the peer does not take the file as it is, preferred first.
FALLBACKS = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)

#: What can be re-encoded: the same values in other words. Pixel compression is never touched.
_CONVERTIBLE = frozenset({*FALLBACKS, DeflatedExplicitVRLittleEndian})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingFile:
    """A file to send, as its File Meta Information describes it."""

    path: Path
    sop_class: UID
    syntax: UID
    size: int  # bytes of the data set

    @property
    def syntaxes(self) -> list[UID]:
        """The transfer syntaxes it can be sent in; its own first."""
        others = FALLBACKS if self.syntax in _CONVERTIBLE else ()
        return list(dict.fromkeys((self.syntax, *others)))


def outgoing_file_of(path: Path) -> OutgoingFile | Answer:
    """Read what a file is; or the answer that says why it cannot be sent."""
    try:
        meta, offset = split_dataset(path)
        file = OutgoingFile(
            path=path,
            sop_class=uid(meta.MediaStorageSOPClassUID),
            syntax=uid(meta.TransferSyntaxUID),
            size=path.stat().st_size - offset,
        )
    except FileNotFoundError:
        return unreadable(f"{path.name} is missing on disk")
    except (IsADirectoryError, *MALFORMED):
        return unreadable(f"{path.name} is not a DICOM file")
    except OSError as error:  # may pass: a mount that is away, no descriptor left
        return unavailable(f"cannot read {path.name}: {error.strerror}")
    # PS3.5 7.1.1: a data set is even. DCMTK aborts on an odd one, and takes the others along. Many
    # writers forget the padding byte of PS3.5 A.5 after deflating, though.
    if file.size % 2 and file.syntax != DeflatedExplicitVRLittleEndian:
        return unreadable(f"{path.name} is cut short")
    return file


def uid(value: object) -> UID:
    """Check a UID; ValueError where it is none."""
    if not isinstance(value, str) or not is_uid(value):
        raise ValueError(value)
    return UID(value)
