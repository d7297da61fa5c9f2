"""Reports about whole files: file meta information, transfer syntax, order."""

from __future__ import annotations

import struct
import zlib

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from field.reports.report import Report, chest, explicit, head, implicit, part10


def deflated() -> bytes:
    """A deflated film with a sequence."""
    ds = chest(kind="dx", syntax=DeflatedExplicitVRLittleEndian)
    body = part10(ds, syntax=ExplicitVRLittleEndian, meta=False)
    pack = zlib.compressobj(wbits=-15)
    return head(ds) + pack.compress(body) + pack.flush()


def wrong_meta_length(change: int) -> bytes:
    """A File Meta Information Group Length that is off by so many bytes."""
    content = bytearray(part10(chest()))
    length = struct.unpack_from("<I", content, 140)[0]
    struct.pack_into("<I", content, 140, length + change)
    return bytes(content)


def second_meta() -> bytes:
    """A second group 0002 at the start of the data set, with another transfer syntax."""
    ds, other = chest(), chest(syntax=RLELossless)
    return head(ds) + head(other)[132:] + part10(ds, meta=False)


def mislabelled(real: UID, said: UID) -> bytes:
    """A data set in one transfer syntax under the name of another."""
    ds = chest()
    ds.file_meta.TransferSyntaxUID = said
    return part10(ds, syntax=real)


def big_endian_without_meta() -> bytes:
    """A big endian film that begins with its data set."""
    ds = chest()
    pixels = bytearray(ds.PixelData)
    pixels[::2], pixels[1::2] = pixels[1::2], pixels[::2]
    ds.PixelData = bytes(pixels)
    return part10(ds, syntax=ExplicitVRBigEndian, meta=False)


def without_syntax() -> bytes:
    """File meta information that does not say how the data set is encoded."""
    ds = chest()
    body = part10(ds, syntax=ImplicitVRLittleEndian, meta=False)
    del ds.file_meta.TransferSyntaxUID
    meta = explicit(0x00020002, "UI", ds.SOPClassUID.encode() + b"\0")
    return (
        bytes(128)
        + b"DICM"
        + explicit(0x00020000, "UL", struct.pack("<I", len(meta)))
        + (meta + body)
    )


def dicm_in_the_data() -> bytes:
    """A data set without preamble that looks as if it had one."""
    ds = chest(syntax=ImplicitVRLittleEndian)
    filler = bytearray(implicit(0x00080000, bytes(4)) + implicit(0x00080001, bytes(200)))
    filler[128:132] = b"DICM"
    body = part10(ds, meta=False)
    return bytes(filler) + body


def out_of_order() -> bytes:
    """Patient ID behind the elements of group 0020."""
    ds = chest()
    late = part10(ds, without=[tag for tag in ds.keys() if tag != 0x00100020], meta=False)  # noqa: SIM118
    return part10(ds, (0x00280001, late), without=[0x00100020])


REPORTS = (
    Report(
        thread="dgobbi/vtk-dicom#158",
        trouble="a File Meta Information Group Length that is too small",
        answer="reads group 0002 to its end, whatever its length says",
        make=lambda: wrong_meta_length(-26),
    ),
    Report(
        thread="fo-dicom/fo-dicom#1376",
        trouble="a second file meta information; its transfer syntax won",
        answer="believes the first",
        make=second_meta,
        scanned=False,
    ),
    Report(
        thread="knopkem/dicom-dimse-native#3",
        trouble="Transfer Syntax UID once more, within the data set",
        answer="believes the one of the file meta information",
        make=lambda: part10(
            chest(), (0x00020010, explicit(0x00020010, "UI", b"1.2.840.10008.1.2.4.57"))
        ),
    ),
    Report(
        thread="wearemothership/dicom.ts#20",
        trouble="implicit VR under the name of explicit VR",
        answer="sees it from the first element",
        make=lambda: mislabelled(ImplicitVRLittleEndian, ExplicitVRLittleEndian),
    ),
    Report(
        thread="pydicom/pydicom#258",
        trouble="file meta information without a transfer syntax",
        answer="finds it from the bytes",
        make=without_syntax,
        scanned=False,
    ),
    Report(
        thread="pydicom/pydicom#217",
        trouble="big endian, without preamble and file meta information",
        answer="finds the byte order from the bytes",
        make=big_endian_without_meta,
        scanned=False,
    ),
    Report(
        thread="dcm4che/dcm4che#1030",
        trouble="no preamble, and `DICM` at byte 128 of the data set",
        answer="reads it as a data set without preamble",
        make=dicm_in_the_data,
        scanned=False,
    ),
    Report(
        thread="fo-dicom/fo-dicom#1097",
        trouble="a deflated data set with a sequence",
        answer="inflates and reads it",
        make=deflated,
    ),
    Report(
        thread="fo-dicom/fo-dicom#581",
        trouble="elements out of ascending order, among other errors; the receiver aborted",
        answer="reads them",
        make=out_of_order,
    ),
)  # fmt: skip
