"""Read a file into a data set, leniently; the node is strict in what it writes."""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLSLossless,
    RLELossless,
)

from dicom_node.dicom.malformed import MALFORMED
from dicom_node.domain.values import RefusalCode
from dicom_node.errors import NotAFrontalChestFilm

# Start of a compressed frame -> transfer syntax, for files without file meta. The marker of the
# JPEG frame header names the process (ISO/IEC 10918-1 table B.1); CAP in JPEG 2000 means HTJ2K.
_JPEG_PROCESS: dict[int, UID] = {
    0xC0: JPEGBaseline8Bit,
    0xC1: JPEGExtended12Bit,
    0xC3: JPEGLossless,
    0xF7: JPEGLSLossless,
}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom's warnings: they quote header values, which may be patients' names."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def read_dataset(path: Path) -> Dataset:
    """Read a file, leniently: without preamble or file meta, with values that break their VR.

    Elements that cannot be parsed are dropped, so that no later step fails on them.

    Raises
    ------
    OSError
        The file cannot be opened.
    NotAFrontalChestFilm
        It is not a DICOM file, or holds no SOP instance (a DICOMDIR, for example).
    """
    with quiet():
        try:
            ds: Dataset = dcmread(path, force=True)
        except MALFORMED as error:
            raise NotAFrontalChestFilm(RefusalCode.FILE, "this is not a DICOM file") from error
        except OSError as error:
            if (
                error.errno is not None
            ):  # of the disk; pydicom's own, for a truncated sequence, has no errno
                raise
            raise NotAFrontalChestFilm(RefusalCode.FILE, "its elements are cut off") from error
        _drop_unparsable(ds)
    if "SOPClassUID" not in ds and "PixelData" not in ds:
        raise NotAFrontalChestFilm(RefusalCode.FILE, "this is not the DICOM file of an image")
    _complete_file_meta(ds)
    return ds


def _drop_unparsable(ds: Dataset) -> None:
    """Parse every element while warnings are off; drop those that cannot be parsed.

    Dropped, too: a sequence where the dictionary has a value, and a value where it has a sequence.
    """
    for tag in list(ds.keys()):
        try:
            element = ds[tag]
        except (*MALFORMED, OSError):
            del ds[tag]
            continue
        if dictionary_has_tag(tag) and (dictionary_VR(tag) == "SQ") != (element.VR == "SQ"):
            del ds[tag]
            continue
        for item in element.value if element.VR == "SQ" else ():
            _drop_unparsable(item)


def _complete_file_meta(ds: Dataset) -> None:
    if not hasattr(ds, "file_meta"):
        ds.file_meta = FileMetaDataset()
    if not ds.file_meta.get("TransferSyntaxUID"):
        ds.file_meta.TransferSyntaxUID = _guess_syntax(ds)


def _guess_syntax(ds: Dataset) -> UID:
    """Guess the transfer syntax from how the data set was parsed and how its first frame begins."""
    data = ds.get("PixelData")
    if isinstance(data, bytes) and data[:4] == b"\xfe\xff\x00\xe0":  # Item: encapsulated
        return _guess_codec(data[: 1 << 16])
    implicit, little = ds.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little in (True, None) else ExplicitVRBigEndian


def _guess_codec(data: bytes) -> UID:
    table = struct.unpack("<I", data[4:8])[0]
    frame = data[8 + table + 8 :]  # past the offset table and the fragment's item header
    if frame[:4] == b"\xff\x4f\xff\x51":
        return HTJ2KLossless if b"\xff\x50" in frame[:256] else JPEG2000
    if frame[:2] != b"\xff\xd8":
        return RLELossless
    at = 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        if syntax := _JPEG_PROCESS.get(frame[at + 1]):
            return syntax
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return JPEGBaseline8Bit
