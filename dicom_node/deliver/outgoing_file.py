"""A file to send, as its File Meta Information describes it."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from pydicom import dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    SecondaryCaptureImageStorage,
)
from pynetdicom.dsutils import split_dataset

from dicom_node.deliver.status import unavailable, unreadable
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.dicom.uids import is_uid

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset

    from dicom_node.domain.values import Answer

#: Transfer syntaxes to re-encode to if the peer does not accept the file's own, preferred first.
FALLBACKS = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)

#: Transfer syntaxes that can be re-encoded without loss.
_CONVERTIBLE = frozenset({*FALLBACKS, DeflatedExplicitVRLittleEndian})
#: What the node's own pictures may be compressed with. They are decoded for a peer that does not
#: accept it; the pixels of any other object are never touched.
_DECODABLE = frozenset({JPEGBaseline8Bit, JPEGLSLossless})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingFile:
    """A file to send, as its File Meta Information describes it."""

    path: Path
    sop_class: UID
    syntax: UID
    size: int  # bytes of the data set

    @property
    def compressed(self) -> bool:
        """Whether it is a picture that can be decoded for a peer."""
        return self.sop_class == SecondaryCaptureImageStorage and self.syntax in _DECODABLE

    @property
    def syntaxes(self) -> list[UID]:
        """The transfer syntaxes in which it can be sent, its own first."""
        others = FALLBACKS if self.syntax in _CONVERTIBLE or self.compressed else ()
        return list(dict.fromkeys((self.syntax, *others)))


def outgoing_file_of(path: Path) -> OutgoingFile | Answer:
    """Describe the file, or return the answer that says why it cannot be sent."""
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
    except OSError as error:  # may be temporary: a mount that is away, no descriptor left
        return unavailable(f"cannot read {path.name}: {error.strerror}")
    # PS3.5 7.1.1: the length is even. DCMTK aborts the whole association on an odd one. After
    # deflating many writers forget the padding byte of PS3.5 A.5, so those pass.
    if file.size % 2 and file.syntax != DeflatedExplicitVRLittleEndian:
        return unreadable(f"{path.name} is cut short")
    return file


def decoded(file: OutgoingFile) -> Dataset:
    """Read a file that is sent in another transfer syntax; the instance stays the same one."""
    ds = dcmread(file.path)
    if file.compressed:
        ds.decompress(generate_instance_uid=False)
    return ds


def content(path: Path, *, uncompressed: bool) -> BinaryIO:
    """Open what a destination keeps of a file: its bytes, or those of the decoded picture.

    Raises
    ------
    OSError
        The file cannot be read.
    RuntimeError
        The picture cannot be decoded.
    """
    file = outgoing_file_of(path) if uncompressed else None
    if not isinstance(file, OutgoingFile) or not file.compressed:
        return path.open("rb")
    plain = BytesIO()
    decoded(file).save_as(plain, enforce_file_format=True)
    return plain


def uid(value: object) -> UID:
    """Return the value as a UID; raises ValueError if it is not one."""
    if not isinstance(value, str) or not is_uid(value):
        raise ValueError(value)
    return UID(value)
