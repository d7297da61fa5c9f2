"""Read a file into a data set, leniently; the node is strict in what it writes."""

from __future__ import annotations

import logging
import mmap
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset as pydicom_read_dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
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
from dicom_node.pixels.bounds import (
    check_elements,
    file_meta,
    inflate,
    limited_memory,
    opened,
    refuse,
    with_vrs,
)
from dicom_node.pixels.codestream import end_of_fragments

# Start of a compressed frame -> transfer syntax, for files without file meta. The marker of the
# JPEG frame header names the process (ISO/IEC 10918-1 table B.1); CAP in JPEG 2000 means HTJ2K.
_JPEG_PROCESS: dict[int, UID] = {
    0xC0: JPEGBaseline8Bit,
    0xC1: JPEGExtended12Bit,
    0xC3: JPEGLossless,
    0xF7: JPEGLSLossless,
}

_PIXEL_DATA = b"\xe0\x7f\x10\x00"  # little endian
_CLOSING = b"\xfe\xff\xdd\xe0\0\0\0\0"  # Sequence Delimitation Item, PS3.5 7.5


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
            with opened(path) as content, limited_memory():
                ds = _parsed(path, content)
                _drop_unparsable(ds)
        except MemoryError as error:
            raise refuse("its elements need more memory than any film's") from error
        except MALFORMED as error:
            raise NotAFrontalChestFilm(RefusalCode.FILE, "this is not a DICOM file") from error
        except OSError as error:
            if error.errno is not None:  # the disk; pydicom's own error has no errno
                raise
            raise NotAFrontalChestFilm(RefusalCode.FILE, "it ends within an element") from error
    if "SOPClassUID" not in ds and "PixelData" not in ds:
        raise NotAFrontalChestFilm(RefusalCode.FILE, "this DICOM file holds no image")
    _complete_file_meta(ds)
    return ds


def _parsed(path: Path, content: mmap.mmap | bytes) -> Dataset:
    """Parse within the bounds; a last frame without its closing delimiter loses nothing."""
    syntax, start = file_meta(content)
    if syntax == DeflatedExplicitVRLittleEndian:
        inflated = inflate(content, start)
        check_elements(inflated, 0, ExplicitVRLittleEndian)
        whole = pydicom_read_dataset(BytesIO(inflated), is_implicit_VR=False, is_little_endian=True)
        whole.file_meta = FileMetaDataset()
        whole.file_meta.TransferSyntaxUID = syntax
        return whole
    signs = check_elements(content, start, syntax)
    try:
        ds: Dataset = dcmread(BytesIO(with_vrs(content, signs)) if signs else path, force=True)
    except EOFError:
        ds = Dataset()
    if syntax and ds:  # a second one, within the data set, is not believed
        ds.file_meta.TransferSyntaxUID = syntax
    if "PixelData" not in ds and content.find(_PIXEL_DATA) >= 0:
        closed = dcmread(BytesIO(content[:] + _CLOSING), force=True)
        if isinstance(pixels := closed.get("PixelData"), bytes):
            closed.PixelData = pixels[: end_of_fragments(pixels)]
            closed["PixelData"].is_undefined_length = True
            return closed
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
