"""Pixels by every legal road: old encodings, and streams that contradict their header."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from support.film import Stored, film, phantom, write

from dicom_node.domain.values import RefusalCode
from dicom_node.errors import UnreadablePixels
from dicom_node.pixels import read_dataset, to_image
from dicom_node.pixels.codestream import facts, fragments

COMPRESSED = [RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1]


def picture(
    bits: int = 12,
    signed: bool = False,
    syntax: str = ExplicitVRLittleEndian,
    window: tuple[float, float] | Literal["full"] | None = "full",
) -> Dataset:
    how = Stored(bits=bits, signed=signed)
    return film(phantom(96, 80), stored=how, syntax=syntax, window=window)


def stored(ds: Dataset) -> NDArray[np.uint16]:
    return np.frombuffer(ds.PixelData, "<u2")


def bundled(name: str) -> Dataset:
    """A file that comes with pydicom."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    ds = read_dataset(Path(str(path)))
    ds.WindowCenter, ds.WindowWidth = 128, 256
    return ds


def test_jpeg_extended_of_12_bits_is_decoded() -> None:
    """The receiver accepts the transfer syntax, so its 12 bit films are read (PS3.5 A.4.1)."""
    lossy, lossless = bundled("JPGExtended.dcm"), bundled("JPEG-LL.dcm")
    assert lossy.file_meta.TransferSyntaxUID == JPEGExtended12Bit
    said = facts(fragments(lossy.PixelData)[0][0], JPEGExtended12Bit)
    assert said is not None
    assert said.precision == 12
    one, other = to_image(lossy).pixels, to_image(lossless).pixels
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98
    assert one.max() > 0.5


# --- High Bit ------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("below", ["empty", "overlay", "noise"])
def test_a_high_bit_of_15_means_the_upper_bits(bits: int, below: str, signed: bool) -> None:
    """PS3.5 8.1.1; until 2004 an overlay could lie in the bits below the value."""
    ds = picture(bits=bits, signed=signed)
    expected = to_image(ds).pixels
    ds.HighBit, shift = 15, 16 - bits
    values = (stored(ds).astype(np.uint32) << shift) & 0xFFFF
    noise = np.random.default_rng(0).integers(0, 1 << shift, values.size)
    values |= {"empty": noise * 0, "overlay": noise == 1, "noise": noise}[below].astype(np.uint32)
    ds.PixelData = values.astype("<u2").tobytes()
    np.testing.assert_array_equal(to_image(ds).pixels, expected)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_high_bit_of_15_in_error_is_ignored(bits: int, signed: bool) -> None:
    """The value is at the bottom, as the bits above it show: empty, or copies of its sign."""
    ds = picture(bits=bits, signed=signed)
    expected = to_image(ds).pixels
    ds.HighBit = 15
    np.testing.assert_array_equal(to_image(ds).pixels, expected)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [b"", b"\0" * 8, b"\0", b"\xfe\xff\xdd\xe0"], ids=repr)
@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda uid: uid.keyword)
def test_frames_without_the_closing_delimiter_are_read(
    tmp_path: Path, syntax: UID, ending: bytes
) -> None:
    """All pixels are there; only the last eight bytes of the file are missing, or zeros."""
    ds = picture(syntax=syntax)
    path = write(ds, tmp_path / "film.dcm")
    content = path.read_bytes()
    assert content.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
    path.write_bytes(content[:-8] + ending)
    np.testing.assert_array_equal(to_image(read_dataset(path)).pixels, to_image(ds).pixels)


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda uid: uid.keyword)
def test_a_frame_that_is_cut_off_is_refused(tmp_path: Path, syntax: UID) -> None:
    """Half a film is not read; the reason says what is wrong."""
    path = write(picture(syntax=syntax), tmp_path / "film.dcm")
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(UnreadablePixels, match="cut off") as refusal:
        to_image(read_dataset(path))
    assert refusal.value.code == RefusalCode.UNREADABLE


@pytest.mark.parametrize("sequence", ["ModalityLUTSequence", "VOILUTSequence"])
def test_a_look_up_table_of_a_big_endian_film_is_read(tmp_path: Path, sequence: str) -> None:
    """LUT Data in OW has the byte order of the film (PS3.5 7.3)."""

    def with_lut(order: str) -> Dataset:
        ds, item = picture(bits=12, window=None), Dataset()
        item.add_new("LUTDescriptor", "US", [4096, 0, 12])
        table = (np.arange(4096) ** 2 / 4096).astype(f"{order}u2")
        item.add_new("LUTData", "OW", table.tobytes())
        setattr(ds, sequence, [item])
        return ds

    expected = to_image(with_lut("<")).pixels
    ds = with_lut(">")
    ds.PixelData = stored(ds).astype(">u2").tobytes()
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    np.testing.assert_array_equal(to_image(ds).pixels, expected)
    read = read_dataset(write(ds, tmp_path / "film.dcm"))
    np.testing.assert_array_equal(to_image(read).pixels, expected)


# --- header and codestream -----------------------------------------------------------------------


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"BitsStored": 16, "HighBit": 15}, "Bits Stored"),
        ({"BitsStored": 10, "HighBit": 9}, "Bits Stored"),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "Bits Allocated"),
        ({"Rows": 80, "Columns": 96}, "Rows, Columns"),
        ({"Rows": 90}, "Rows"),
        ({"Columns": 160}, "Columns"),
    ],
    ids=str,
)
def test_the_compressed_stream_counts_where_the_header_contradicts_it(
    syntax: UID, wrong: dict[str, int], named: str
) -> None:
    """The decoder gets what the stream holds; the contradiction is noted."""
    if syntax == RLELossless and "BitsAllocated" not in wrong:
        pytest.skip("an RLE stream says neither rows nor the bits of a value")
    if syntax == JPEGLosslessSV1 and "BitsStored" in wrong:
        pytest.skip("GDCM codes whole words, whatever Bits Stored is")
    ds = picture(bits=12, syntax=syntax)
    expected = to_image(ds)
    assert "header" not in expected.notes
    for keyword, value in wrong.items():
        setattr(ds, keyword, value)
    image = to_image(ds)
    if syntax != RLELossless:
        np.testing.assert_allclose(image.pixels, expected.pixels, atol=1e-6)
    assert image.pixels.shape == (96, 80)
    assert named in image.notes["header"]


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1])
def test_a_stream_of_far_more_pixels_than_the_header_says_is_refused(syntax: UID) -> None:
    """The quotas of reception count what the header says."""
    ds = picture(bits=12, syntax=syntax)
    ds.Rows = ds.Columns = 8
    with pytest.raises(UnreadablePixels, match="the header says 8 x 8"):
        to_image(ds)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=lambda u: u.keyword)
def test_a_stream_of_whole_words_is_read_by_the_header(
    syntax: UID, extended: bool, signed: bool
) -> None:
    """DCMTK and GDCM code 16 bits for values of 12; above a signed one lie its sign or zeros."""
    ds = picture(bits=12, signed=signed)
    expected = to_image(ds).pixels
    words = stored(ds) if extended else stored(ds) & 0x0FFF
    ds.PixelData = words.tobytes()
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 15, 0
    ds.compress(syntax, generate_instance_uid=False)
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, int(signed)
    image = to_image(ds)
    np.testing.assert_allclose(image.pixels, expected, atol=1e-6)
    assert "header" not in image.notes


@pytest.mark.parametrize("signed", [False, True])
def test_a_stream_of_more_bits_than_the_header_says_keeps_them(signed: bool) -> None:
    """A stream of 16 bits whose values need them, behind a header of 12."""
    ds = picture(bits=16, signed=signed, syntax=JPEGLSLossless)
    expected = to_image(ds).pixels
    ds.BitsStored, ds.HighBit = 12, 11
    np.testing.assert_allclose(to_image(ds).pixels, expected, atol=1e-6)


def test_a_signed_stream_behind_an_unsigned_header_is_signed() -> None:
    """JPEG 2000 says in its SIZ segment whether samples are signed."""
    ds = picture(bits=12, signed=True, syntax=JPEG2000Lossless)
    expected = to_image(ds).pixels
    ds.PixelRepresentation = 0
    image = to_image(ds)
    np.testing.assert_array_equal(image.pixels, expected)
    assert "Pixel Representation" in image.notes["header"]


def test_a_colour_stream_behind_a_grey_header_is_refused_as_colour() -> None:
    """Three components are no film, whatever the header says."""
    from io import BytesIO

    from PIL import Image as PILImage

    ds, out = picture(bits=8), BytesIO()
    PILImage.new("RGB", (80, 96), (200, 10, 30)).save(out, "JPEG")
    ds.PixelData = encapsulate([out.getvalue()])
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    with pytest.raises(UnreadablePixels, match="3 colour components") as refusal:
        to_image(ds)
    assert refusal.value.code == RefusalCode.PHOTOMETRIC


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLosslessSV1], ids=lambda u: u.keyword)
def test_a_stream_that_is_damaged_in_the_middle_is_noted(syntax: UID) -> None:
    """GDCM's decoders report what they skipped; the image says "decoded with errors"."""
    ds = film(phantom(256, 200, marker=None), stored=Stored(bits=8), syntax=syntax)
    assert "decoding" not in to_image(ds).notes
    data = bytearray(ds.PixelData)
    at = int(len(data) * 0.3)
    data[at : at + 4] = b"\xaa\x55\xaa\x55"
    ds.PixelData = bytes(data)
    assert to_image(ds).notes["decoding"] == "with errors"
    whole = film(phantom(256, 200, marker=None), stored=Stored(bits=8), syntax=syntax)
    assert "decoding" not in to_image(whole).notes  # the next film is not blamed


@pytest.mark.parametrize("syntax", [*COMPRESSED, JPEGBaseline8Bit], ids=lambda u: u.keyword)
def test_streams_are_described_to_the_last_byte_or_not_at_all(syntax: UID) -> None:
    """A stream that is cut short anywhere never makes its description raise."""
    ds = picture(bits=8, syntax=syntax)
    stream = fragments(ds.PixelData)[0][0]
    assert facts(stream, syntax) is not None
    for end in range(min(len(stream), 700)):
        facts(stream[:end], syntax)
    assert facts(b"", syntax) is None
    assert facts(b"\xff" * 64, syntax) in (None, facts(b"\xff" * 64, syntax))


def test_native_pixels_are_never_taken_for_a_stream() -> None:
    """Only a compressed transfer syntax has streams."""
    assert facts(b"\xff\xd8\xff\xc0" + bytes(20), ExplicitVRLittleEndian) is None
