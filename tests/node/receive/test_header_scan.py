"""The header scan: what it finds, what it tolerates, where it stops."""

from __future__ import annotations

import random
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from support.film import code, write
from support.receiving import encoded, small_film

from dicom_node.receive import byte_source
from dicom_node.receive.header_scan import MAX_DEPTH, Header, read_header
from dicom_node.receive.store_status import StoreFault, StoreRefused

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (struct.pack("<HH", 0xFFFE, e) for e in (0xE000, 0xE00D, 0xE0DD))


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, size) + value


def read(tmp_path: Path, data: bytes, syntax: str = ImplicitVRLittleEndian) -> Header:
    path = tmp_path / "x"
    path.write_bytes(b"offset" + data)
    return read_header(path, 6, syntax)


def fault(tmp_path: Path, data: bytes, syntax: str = ImplicitVRLittleEndian) -> StoreFault:
    with pytest.raises(StoreRefused) as caught:
        read(tmp_path, data, syntax)
    assert len(caught.value.reason) <= 64
    return caught.value.fault


@pytest.mark.parametrize(
    ("negotiated", "sent_implicit"),
    [
        (ExplicitVRLittleEndian, False),
        (ImplicitVRLittleEndian, True),
        (ExplicitVRLittleEndian, True),
        (ImplicitVRLittleEndian, False),
    ],
)
def test_elements_are_found_in_both_vrs_even_in_the_wrong_one(
    tmp_path: Path, negotiated: str, sent_implicit: bool
) -> None:
    """A film's header is read in implicit and explicit VR, whichever of the two was negotiated."""
    ds = small_film()
    header = read(tmp_path, encoded(ds, implicit=sent_implicit), negotiated)
    assert header.sop_instance_uid == ds.SOPInstanceUID
    assert header.study_instance_uid == ds.StudyInstanceUID
    assert (header.rows, header.columns, header.bits_allocated) == (64, 48, 16)
    assert (header.pixel_bytes, header.encapsulated) == (64 * 48 * 2, False)


def test_a_deflated_data_set_is_inflated_on_the_way(tmp_path: Path) -> None:
    """A deflated film is read like any other."""
    packed = zlib.compress(encoded(small_film()), wbits=-15)
    assert read(tmp_path, packed, DeflatedExplicitVRLittleEndian).pixel_bytes == 64 * 48 * 2


def test_a_deflate_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that inflates beyond all bounds is refused without being held in memory."""
    monkeypatch.setattr(byte_source, "MAX_INFLATED", 2**20)
    bomb = zlib.compress(implicit(0x00091010, b"\0" * 2**22), wbits=-15)
    assert fault(tmp_path, bomb, DeflatedExplicitVRLittleEndian) is StoreFault.BOUNDS


def test_what_does_not_inflate_is_unparsable(tmp_path: Path) -> None:
    """Bytes that are no deflate stream are refused."""
    assert fault(tmp_path, b"\xff" * 64, DeflatedExplicitVRLittleEndian) is StoreFault.UNPARSABLE


def test_encapsulated_fragments_are_counted(tmp_path: Path) -> None:
    """Compressed pixels are there when their fragments are, up to the delimiter."""
    ds = small_film(syntax=RLELossless)
    path = write(ds, tmp_path / "rle.dcm")
    offset = path.read_bytes().index(b"\x08\x00\x05\x00CS")  # the first element after the meta
    header = read_header(path, offset, RLELossless)
    assert header.encapsulated
    assert header.pixel_bytes
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StoreRefused, match="truncated"):
        read_header(path, offset, RLELossless)


def test_only_the_top_level_speaks_for_the_object(tmp_path: Path) -> None:
    """UIDs and pixels within sequences (referenced images, icons) are not the object's own."""
    ds = small_film(ViewCodeSequence=[code("1", "99X", "x")])
    ds.ViewCodeSequence[0].SOPInstanceUID = "1.2.3"
    ds.ViewCodeSequence[0].Rows = 7
    ds.ViewCodeSequence[0].is_undefined_length_sequence_item = True
    ds["ViewCodeSequence"].is_undefined_length = True
    header = read(tmp_path, encoded(ds), ExplicitVRLittleEndian)
    assert header.sop_instance_uid == ds.SOPInstanceUID
    assert header.rows == 64


def test_a_wrong_vr_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """Rows as digits, an overlong name, an unknown VR, UN of undefined length: all read."""
    un = b"\x09\x00\x01\x10UN\0\0" + struct.pack("<I", UNDEFINED)
    data = (
        b"\x08\x00\x18\x00SH\x05\x001.2.3"
        + un + ITEM + struct.pack("<I", UNDEFINED) + implicit(0x00091011, b"ab")
        + ITEM_END + b"\0" * 4 + SEQUENCE_END + b"\0" * 4
        + b"\x10\x00\x10\x00PN\x00\x08" + b"N" * 2048
        + b"\x28\x00\x10\x00IS\x04\x00512 "
        + b"\x28\x00\x11\x00ZZ\x02\x00\x00\x02"
    )  # fmt: skip
    header = read(tmp_path, data, ExplicitVRLittleEndian)
    assert (header.sop_instance_uid, header.rows, header.columns) == ("1.2.3", 512, 512)


def test_a_vr_of_a_later_standard_has_a_long_length(tmp_path: Path) -> None:
    """PS3.5 7.1.2: a VR that is not known has two reserved bytes and a length of 32 bits."""
    unknown = b"\x08\x00\x20\x10ZX\0\0" + struct.pack("<I", 70_000) + b"\1" * 70_000
    data = unknown + b"\x08\x00\x18\x00UI\x06\x001.2.3\0"
    assert read(tmp_path, data, ExplicitVRLittleEndian).sop_instance_uid == "1.2.3"


def test_what_follows_the_pixels_does_not_matter(tmp_path: Path) -> None:
    """Padding after the Pixel Data, as some modalities send it, is not looked at."""
    data = encoded(small_film(), implicit=True) + b"\0" * 5
    assert read(tmp_path, data).pixel_bytes == 64 * 48 * 2


def nested(depth: int) -> bytes:
    opening = implicit(0x0040A730, b"", UNDEFINED) + ITEM + struct.pack("<I", UNDEFINED)
    return opening * depth + (ITEM_END + b"\0" * 4 + SEQUENCE_END + b"\0" * 4) * depth


def test_nesting_has_a_limit_and_needs_no_stack(tmp_path: Path) -> None:
    """Sequences nest as deep as any real report's; a hundred thousand deep is refused."""
    assert read(tmp_path, nested(MAX_DEPTH)) == Header()
    assert fault(tmp_path, nested(100_000)) is StoreFault.BOUNDS


def test_endless_tiny_elements_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set of nothing but empty elements is not scanned without end."""
    monkeypatch.setattr("dicom_node.receive.header_scan.MAX_ELEMENTS", 100)
    assert fault(tmp_path, implicit(0x00091010, b"") * 101) is StoreFault.BOUNDS


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (implicit(0x00080018, b"1.2", 10**6), StoreFault.TRUNCATED),
        (implicit(0x00080018, b"1.2", 1000), StoreFault.TRUNCATED),
        (implicit(0x7FE00010, b"1.2", 2**31), StoreFault.TRUNCATED),
        (b"\x08\x00\x18", StoreFault.TRUNCATED),
        (b"\x08\x00\x18\x00OB\0\0\1", StoreFault.TRUNCATED),
        (implicit(0x0040A730, b"", UNDEFINED), StoreFault.TRUNCATED),
        (implicit(0x0040A730, implicit(0x00080018, b""), UNDEFINED), StoreFault.UNPARSABLE),
        (ITEM + b"\0" * 4, StoreFault.UNPARSABLE),
        (SEQUENCE_END + b"\0" * 4, StoreFault.UNPARSABLE),
    ],
    ids=["long", "short", "huge", "head", "long-vr", "open", "no-item", "item", "delimiter"],
)
def test_broken_structure_is_named(tmp_path: Path, data: bytes, expected: StoreFault) -> None:
    """Each way a structure can break has its fault."""
    assert fault(tmp_path, data) is expected


def test_a_cut_film_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    """Whatever byte the data set ends at, it is refused or visibly without its pixels."""
    data = encoded(small_film(), implicit=True)
    for end in [*range(0, len(data) - 6144, 23), *range(len(data) - 6200, len(data), 401)]:
        with suppress(StoreRefused):
            assert read(tmp_path, data[:end]).pixel_bytes is None


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_no_bytes_make_it_raise_anything_else(tmp_path: Path, syntax: str) -> None:
    """Random damage gives a header or a fault, never another exception."""
    chance = random.Random(1)
    whole = encoded(small_film())
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 12)):
            data[chance.randrange(600)] = chance.randrange(256)
        sent = zlib.compress(bytes(data), wbits=-15) if "1.99" in syntax else bytes(data)
        with suppress(StoreRefused):
            read(tmp_path, sent, syntax)
