"""Small files that would become gigabytes are refused before they do."""

from __future__ import annotations

import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from support.film import film, phantom, write

from dicom_node.domain.values import RefusalCode
from dicom_node.errors import NotAFrontalChestFilm
from dicom_node.pixels import bounds, read_dataset, to_image

MANY = bounds.MAX_ELEMENTS + 1
ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
EMPTY = b"".join(
    struct.pack("<HH2sH", 0x7FE1 + 2 * (n // 0xE000), 0x1000 + n % 0xE000, b"LO", 0)
    for n in range(MANY)
)


def _sequence(body: bytes, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return struct.pack("<HH2sHI", 0x7FE1, 0x1010, b"SQ", 0, length) + body


def _film() -> bytes:
    """A small film, explicit little endian, without file meta."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, film(phantom(96, 80)))
    return out.getvalue()


def _file(path: Path, data: bytes, syntax: UID = ExplicitVRLittleEndian) -> Path:
    """A Part 10 file of these bytes."""
    whole = write(film(phantom(96, 80)), path).read_bytes()
    meta = whole[: whole.index(b"\x08\x00\x05\x00CS")]
    old = ExplicitVRLittleEndian.encode() + b"\0"
    new = syntax.encode() + b"\0" * (len(syntax) % 2)
    head = meta.index(old)
    meta = meta[: head - 2] + struct.pack("<H", len(new)) + new + meta[head + len(old) :]
    length = struct.pack("<I", len(meta) - 144)
    path.write_bytes(meta[:140] + length + meta[144:] + data)
    return path


def _deflated(behind: int) -> bytes:
    """A deflated film, with a private element of so many MiB of zeros behind its pixels."""
    head = struct.pack("<HH2sHI", 0x7FE1, 0x1010, b"OB", 0, behind << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [packer.compress(_film() + head)]
    pieces += [packer.compress(bytes(1 << 20)) for _ in range(behind)]
    return b"".join(pieces) + packer.flush()


@pytest.mark.parametrize(
    ("make", "syntax"),
    [
        (lambda: _film() + EMPTY, ExplicitVRLittleEndian),
        (lambda: _film() + _sequence(ITEM * MANY), ExplicitVRLittleEndian),
        (
            lambda: _film() + _sequence(ITEM * MANY + b"\xfe\xff\xdd\xe0\0\0\0\0", 0xFFFFFFFF),
            ExplicitVRLittleEndian,
        ),
        (
            lambda: _film() + _sequence(struct.pack("<HHI", 0xFFFE, 0xE000, len(EMPTY)) + EMPTY),
            ExplicitVRLittleEndian,
        ),
        (lambda: _deflated(behind=600), DeflatedExplicitVRLittleEndian),
    ],
    ids=["elements", "items", "undefined length", "elements in an item", "deflated"],
)
def test_a_bomb_is_refused_in_little_memory(
    tmp_path: Path, make: Callable[[], bytes], syntax: UID
) -> None:
    """Behind the pixels, in a sequence of defined or undefined length, or deflated."""
    path = _file(tmp_path / "film.dcm", make(), syntax)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(NotAFrontalChestFilm, match=r"more than|larger than") as refusal:
        read_dataset(path)
    assert refusal.value.code == RefusalCode.FILE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB


def test_what_the_walk_does_not_see_is_bounded_by_memory(tmp_path: Path) -> None:
    """Parsing may take so much memory and no more; the limit is gone afterwards."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), bounds.limited_memory(64 << 20):
        bytearray(128 << 20)
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
    ],
    ids=lambda uid: uid.keyword,
)
def test_a_film_with_nested_sequences_is_within_the_bounds(tmp_path: Path, syntax: UID) -> None:
    """The walk steps over every encoding of a legal film, and counts it right."""
    ds = film(phantom(96, 80), kind="dx")
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        ds.file_meta.TransferSyntaxUID = syntax
    elif syntax == RLELossless:
        ds = film(phantom(96, 80), kind="dx", transfer_syntax=syntax)
    else:
        ds.file_meta.TransferSyntaxUID = syntax
    read = read_dataset(write(ds, tmp_path / "film.dcm"))
    assert read.AnatomicRegionSequence[0].CodeMeaning == "Chest"
    np.testing.assert_allclose(to_image(read).pixels, phantom(96, 80), atol=0.001)


def test_a_file_larger_than_any_film_is_refused_unread(tmp_path: Path) -> None:
    """Its size alone says so."""
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(bounds.MAX_BYTES + 1)
    with pytest.raises(NotAFrontalChestFilm, match="MiB"):
        read_dataset(path)
