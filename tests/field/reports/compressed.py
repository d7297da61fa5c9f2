"""Reports about compressed pixels."""

from __future__ import annotations

import struct
from typing import Any

from pydicom.uid import UID, JPEG2000Lossless, JPEGLossless, JPEGLSLossless, RLELossless

from dicom_node.pixels.codestream import fragments
from field.reports.pictures import PIXELS
from field.reports.report import END, UNDEFINED, Report, bits, chest, explicit, part10


def compressed(syntax: UID, *, signed: bool = False, stored: int = 12, **after: Any) -> bytes:
    """A compressed film whose header was changed afterwards."""
    ds = chest(stored=bits(stored, signed=signed), syntax=syntax)
    for keyword, value in after.items():
        setattr(ds, keyword, value)
    return part10(ds)


def cut_up(size: int) -> bytes:
    """One RLE frame in many fragments."""
    ds = chest(syntax=RLELossless)
    stream = b"".join(fragments(ds.PixelData)[0])
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    body = b"\xfe\xff\0\xe0" + bytes(4)
    body += b"".join(b"\xfe\xff\0\xe0" + struct.pack("<I", len(each)) + each for each in pieces)
    return part10(ds, (PIXELS, explicit(PIXELS, "OB", body + END, UNDEFINED)))


def one_fragment(syntax: UID, after: bytes, *, table: bytes = b"") -> bytes:
    """A compressed frame in one fragment with bytes behind its stream; ``table``: offsets."""
    ds = chest(syntax=syntax)
    stream = b"".join(fragments(ds.PixelData)[0])
    stream = stream.rstrip(b"\0") if syntax != RLELossless else stream
    item = b"\xfe\xff\0\xe0"
    body = item + struct.pack("<I", len(table)) + table
    body += item + struct.pack("<I", len(stream + after)) + stream + after
    return part10(ds, (PIXELS, explicit(PIXELS, "OB", body + END, UNDEFINED)))


def unsigned_stream() -> bytes:
    """An unsigned JPEG 2000 stream of two's complement values behind a signed header."""
    ds = chest(stored=bits(16, signed=True))
    ds.PixelRepresentation = 0
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    ds.PixelRepresentation = 1
    return part10(ds)


def odd_fragment() -> bytes:
    """A fragment of odd length."""
    stream = b"".join(fragments(chest(syntax=JPEG2000Lossless).PixelData)[0]).rstrip(b"\0")
    return one_fragment(JPEG2000Lossless, b"\0" * (1 - len(stream) % 2))


def native_of_undefined_length() -> bytes:
    """Native pixels of undefined length: neither items nor an end."""
    ds = chest()
    return part10(ds, (PIXELS, explicit(PIXELS, "OB", bytes(ds.PixelData), UNDEFINED)))


REPORTS = (
    Report(
        thread="pydicom/pydicom#2012",
        trouble="Bits Stored 16, and 12 in the JPEG 2000 stream",
        answer="believes the stream",
        make=lambda: compressed(JPEG2000Lossless, BitsStored=16, HighBit=15),
    ),
    Report(
        thread="pydicom/pydicom#1149",
        trouble="a signed header and an unsigned JPEG 2000 stream",
        answer="reads the stream's bits as two's complement",
        make=unsigned_stream,
    ),
    Report(
        thread="pydicom/pydicom#2009",
        trouble="signed JPEG-LS with fewer bits stored than allocated lost its sign",
        answer="reads two's complement of Bits Stored",
        make=lambda: compressed(JPEGLSLossless, signed=True),
    ),
    Report(
        thread="fo-dicom/fo-dicom#738",
        trouble="signed JPEG 2000 of 16 bits was shifted by 32768",
        answer="reads it",
        make=lambda: compressed(JPEG2000Lossless, signed=True, stored=16),
    ),
    Report(
        thread="cornerstonejs/cornerstone#40",
        trouble="JPEG Lossless was not decoded",
        answer="decodes it",
        make=lambda: compressed(JPEGLossless),
    ),
    Report(
        thread="dcm4che/dcm4chee-arc-light#752",
        trouble="one RLE frame in fragments of 1024 bytes was taken for several frames",
        answer="joins the fragments",
        make=lambda: cut_up(1024),
    ),
    Report(
        thread="fo-dicom/fo-dicom#992",
        trouble="an empty Basic Offset Table",
        answer="does not need it",
        make=lambda: one_fragment(JPEGLSLossless, b""),
    ),
    Report(
        thread="Enet4/dicom-rs#399",
        trouble="a Basic Offset Table with one entry too many, behind the last frame",
        answer="does not use it",
        make=lambda: one_fragment(JPEG2000Lossless, b"", table=struct.pack("<II", 0, 1 << 20)),
    ),
    Report(
        thread="dcmjs-org/dcmjs#293",
        trouble="a fragment of odd length",
        answer="reads it",
        make=odd_fragment,
    ),
    Report(
        thread="jai-imageio/jai-imageio-jpeg2000#33",
        trouble="padding behind a JPEG 2000 stream was an error",
        answer="ignores it",
        make=lambda: one_fragment(JPEG2000Lossless, bytes(3)),
    ),
    Report(
        thread="pydicom/pydicom#238",
        trouble="native pixels with an undefined length",
        answer="refuses with `unreadable`; the receiver refuses the object, too",
        make=native_of_undefined_length,
        expected="unreadable",
        scanned=False,
    ),
)  # fmt: skip
