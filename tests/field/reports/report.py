"""A public report, and how the film that it is about is built."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, ExplicitVRBigEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32
from support.film import Stored, film, phantom

from dicom_node.demo.phantom import FloatMap

ROWS, COLUMNS = 128, 96
UNDEFINED = 0xFFFFFFFF

#: What becomes of the film: it is read and looks as it should, or a refusal's code.
SAME = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What went wrong elsewhere, and what the node does; both are rows of docs/FIELD.md.

    ``expected`` is `SAME` or a refusal's code, ``within`` the mean difference that a lossy road or
    a window made from the pixels may cause. ``picture`` is what the film shows, the phantom if
    None; ``scanned`` False: the receiver does not see this file, or not in these bytes.
    """

    thread: str  # owner/repository#number
    trouble: str
    answer: str
    make: Callable[[], bytes]
    expected: str = SAME
    within: float = 0.005
    picture: Callable[[], FloatMap] | None = None
    scanned: bool = True


@cache
def shown() -> FloatMap:
    """The picture of every film here."""
    return phantom(ROWS, COLUMNS, marker=None)


def chest(**elements: Any) -> Dataset:
    """A small CR of the phantom; ``stored``, ``window`` and ``syntax`` are those of `film`."""
    return film(shown(), **elements)


def bits(stored: int, *, signed: bool = False, photometric: str = "MONOCHROME2") -> Stored:
    """How samples are stored."""
    return Stored(bits=stored, signed=signed, photometric=photometric)


def explicit(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """An element in explicit VR little endian; ``length`` may be wrong, or undefined."""
    size = len(value) if length is None else length
    form = "<HHI" if vr in EXPLICIT_VR_LENGTH_32 else "<HH"
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    sizes = struct.pack("<HI", 0, size) if form == "<HHI" else struct.pack("<H", size)
    return head + sizes + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    """An element in implicit VR little endian, or an item or delimiter in either."""
    size = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, size) + value


def item(content: bytes, *, defined: bool = True) -> bytes:
    """An item of a sequence, PS3.5 7.5."""
    if defined:
        return implicit(0xFFFEE000, content)
    return implicit(0xFFFEE000, content, UNDEFINED) + implicit(0xFFFEE00D, b"")


END = implicit(0xFFFEE0DD, b"")  # of a sequence of undefined length


def part10(
    ds: Dataset,
    *extra: tuple[int, bytes],
    syntax: UID | None = None,
    without: Iterable[int] = (),
    meta: bool = True,
) -> bytes:
    """The film as a file, with elements that pydicom does not write.

    Parameters
    ----------
    extra
        Tag and bytes of further elements; they replace the film's own of the same tag.
    syntax
        How the data set is encoded; by default as the file meta information says.
    without
        Tags of elements to leave out.
    meta
        Begin with preamble and file meta information.
    """
    syntax = syntax or UID(ds.file_meta.TransferSyntaxUID)
    dropped = {*without, *(tag for tag, _ in extra)}
    kept = [(int(tag), _encoded(ds, tag, syntax)) for tag in ds.keys() if tag not in dropped]  # noqa: SIM118
    body = b"".join(content for _, content in sorted([*kept, *extra], key=lambda each: each[0]))
    return (head(ds) if meta else b"") + body


def head(ds: Dataset) -> bytes:
    """Preamble and file meta information."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_file_meta_info(out, ds.file_meta)
    return bytes(128) + b"DICM" + bytes(out.getvalue())


def _encoded(ds: Dataset, tag: int, syntax: UID) -> bytes:
    out, alone = DicomBytesIO(), Dataset()
    out.is_little_endian = syntax != ExplicitVRBigEndian
    out.is_implicit_VR = syntax == ImplicitVRLittleEndian
    alone[tag] = ds[tag]
    alone.SpecificCharacterSet = "ISO_IR 192"
    if tag != 0x00080005:
        del alone.SpecificCharacterSet
    write_dataset(out, alone)
    return bytes(out.getvalue())
