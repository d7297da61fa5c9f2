"""Decoding, LUTs, window, polarity, padding: a film becomes what a display would show."""

from __future__ import annotations

import copy
import warnings
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from support.film import Stored, film, phantom, write

from dicom_node.domain.values import RefusalCode
from dicom_node.errors import NotAFrontalChestFilm, UnreadablePixels
from dicom_node.pixels import read_dataset, to_image

SMALL = {"rows": 96, "columns": 80}


def picture(**options: Any) -> Dataset:
    return film(phantom(96, 80, marker=None), **options)


def two_by_two(*values: int, **elements: object) -> Dataset:
    """A film of 16 bit values, repeated to 4 x 4, with the window of its bits."""
    ds = film(np.zeros((4, 4), np.float32), stored=Stored(bits=16), window=None)
    ds.PixelData = np.tile(np.array(values, "<i4").astype("<u2").reshape(2, 2), (2, 2)).tobytes()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def greys(ds: Dataset) -> list[float]:
    return [round(float(grey), 3) for grey in to_image(ds).pixels[:2, :2].ravel()]


def lut(*data: int, first: int = 0, bits: int = 8) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(data), first, bits])
    item.add_new("LUTData", "US", list(data))
    return item


# --- decoding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda uid: uid.keyword,
)
@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
def test_every_lossless_syntax_gives_the_same_picture(
    syntax: str, bits: int, tmp_path: Path
) -> None:
    """The image does not depend on the transfer syntax or the bit depth of the film."""
    path = write(picture(stored=Stored(bits=bits), syntax=syntax), tmp_path / "film.dcm")
    image = to_image(read_dataset(path))
    assert image.pixels.dtype == np.float32
    assert image.pixels.flags.c_contiguous
    np.testing.assert_allclose(image.pixels, phantom(96, 80, marker=None), atol=0.6 / (2**bits - 1))
    assert image.notes["transfer_syntax"] == syntax


def test_jpeg_baseline_is_nearly_the_same() -> None:
    """Lossy 8-bit JPEG decodes to nearly the original film."""
    image = to_image(picture(stored=Stored(bits=8), syntax=JPEGBaseline8Bit))
    assert np.abs(image.pixels - phantom(96, 80, marker=None)).mean() < 0.02


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_signed_pixels_are_twos_complement(bits: int) -> None:
    """Signed stored values give the same picture as unsigned ones."""
    image = to_image(picture(stored=Stored(bits=bits, signed=True)))
    np.testing.assert_allclose(image.pixels, phantom(96, 80, marker=None), atol=0.6 / (2**bits - 1))


def test_bits_beyond_those_stored_are_cut_off() -> None:
    """An old overlay in the unused bits does not show."""
    ds = picture(stored=Stored(bits=12))
    clean = to_image(ds).pixels
    ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") | 0x8000).tobytes()
    np.testing.assert_array_equal(to_image(ds).pixels, clean)


def test_a_true_high_bit_is_followed_and_a_false_one_is_not() -> None:
    """12 bits at the top of the word are shifted down; 12 bits at the bottom are not."""
    ds = picture(stored=Stored(bits=12))
    expected = to_image(ds).pixels
    ds.HighBit = 15
    np.testing.assert_array_equal(to_image(ds).pixels, expected)
    ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") << 4).tobytes()
    np.testing.assert_array_equal(to_image(ds).pixels, expected)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, RefusalCode.PHOTOMETRIC),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, RefusalCode.PHOTOMETRIC),
        ({"NumberOfFrames": 2}, RefusalCode.FRAMES),
        ({"Rows": 65535, "Columns": 65535}, RefusalCode.SIZE),
        ({"Rows": 4000, "Columns": 4000}, RefusalCode.UNREADABLE),
        ({"BitsAllocated": 32}, RefusalCode.UNREADABLE),
        ({"PixelData": b""}, RefusalCode.UNREADABLE),
        ({"PixelData": b"\0\0"}, RefusalCode.UNREADABLE),
    ],
    ids=str,
)
def test_what_is_not_one_grey_film_is_refused(change: dict[str, object], code: RefusalCode) -> None:
    """Colour, frames, pixel bombs and missing or short pixels are refused, each with its code."""
    ds = picture()
    for keyword, value in change.items():
        setattr(ds, keyword, value)
    with pytest.raises(UnreadablePixels) as refusal:
        to_image(ds)
    assert refusal.value.code == code


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated", "PixelData"])
def test_a_film_without_what_decoding_needs_is_refused(keyword: str) -> None:
    """A missing element is a coded refusal, not a crash."""
    with pytest.raises(UnreadablePixels):
        to_image(picture(without=[keyword]))


@pytest.mark.parametrize(
    "keyword",
    ["BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "WindowCenter"],
)
def test_a_film_without_what_can_be_guessed_is_read(keyword: str) -> None:
    """Elements with one sensible value may be missing."""
    assert np.ptp(to_image(picture(stored=Stored(bits=16), without=[keyword])).pixels) > 0.5


def test_broken_compressed_pixels_are_refused() -> None:
    """Bytes that are not the JPEG 2000 they claim to be are a coded refusal."""
    ds = picture(syntax=JPEG2000Lossless)
    ds.PixelData = ds.PixelData[:8] + b"\xfe\xff\x00\xe0\x10\0\0\0" + b"junk" * 4
    with pytest.raises(UnreadablePixels) as refusal:
        to_image(ds)
    assert refusal.value.code == RefusalCode.UNREADABLE


def test_a_decoder_that_panics_costs_one_film_not_the_worker() -> None:
    """A truncated RLE segment makes the Rust decoder panic; the film is refused."""
    ds = picture(syntax=RLELossless)
    ds.PixelData = ds.PixelData[: len(ds.PixelData) // 2]
    with pytest.raises(UnreadablePixels) as refusal:
        to_image(ds)
    assert refusal.value.code == RefusalCode.UNREADABLE


def test_an_unknown_transfer_syntax_is_refused() -> None:
    """A transfer syntax without a decoder is a coded refusal that names it."""
    ds = picture()
    ds.file_meta.TransferSyntaxUID = MPEG2MPML
    with pytest.raises(UnreadablePixels, match="MPEG2"):
        to_image(ds)


# --- modality and VOI ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # PS3.3 C.11.2.1.2.1: centre 100.5 less a half, width 101 less one
        ("LINEAR", [0.0, 0.25, 0.5, 1.0]),
        ("", [0.0, 0.25, 0.5, 1.0]),
        # C.11.2.1.3.2: (x - c) / w + 1/2
        ("LINEAR_EXACT", [0.0, 0.248, 0.495, 0.99]),
        # C.11.2.1.3.1: 1 / (1 + exp(-4 (x - c) / w))
        ("SIGMOID", [0.119, 0.267, 0.495, 0.877]),
    ],
)
def test_windows_follow_the_standard(function: str, expected: list[float]) -> None:
    """Each VOI LUT Function is the formula of PS3.3."""
    ds = two_by_two(50, 75, 100, 150, WindowCenter=100.5, WindowWidth=101)
    ds.VOILUTFunction = function
    assert greys(ds) == expected


def test_the_first_of_several_windows_is_taken() -> None:
    """Further windows are alternatives of the vendor."""
    ds = two_by_two(50, 75, 100, 150, WindowCenter=[100.5, 9], WindowWidth=[101, 3])
    assert greys(ds) == [0.0, 0.25, 0.5, 1.0]
    assert to_image(ds).notes["window"] == "header"


def test_the_window_acts_on_rescaled_values() -> None:
    """Rescale comes before the window."""
    ds = two_by_two(50, 75, 100, 150, RescaleSlope=2, RescaleIntercept=-1000)
    ds.WindowCenter, ds.WindowWidth = -799.5, 201
    assert greys(ds) == [0.0, 0.25, 0.5, 1.0]


def test_the_modality_lut_wins_over_rescale() -> None:
    """A Modality LUT Sequence maps stored values; the window maps its output."""
    ds = two_by_two(0, 1, 2, 9, RescaleSlope=77, RescaleIntercept=5)
    ds.ModalityLUTSequence = [lut(50, 75, 100, 150)]
    ds.WindowCenter, ds.WindowWidth = 100.5, 101
    assert greys(ds) == [0.0, 0.25, 0.5, 1.0]


def test_the_voi_lut_wins_over_the_window() -> None:
    """A VOI LUT is scaled by its bits; values outside its range get its first or last entry."""
    ds = two_by_two(10, 11, 12, 99, WindowCenter=1, WindowWidth=2)
    ds.VOILUTSequence = [lut(0, 51, 102, 255, first=10)]
    assert greys(ds) == [0.0, 0.2, 0.4, 1.0]
    assert to_image(ds).notes["window"] == "lut"


def test_a_voi_lut_that_overstates_its_bits_is_not_drawn_dark() -> None:
    """16 bits declared, 8 used: white is still white."""
    ds = two_by_two(10, 11, 12, 99)
    ds.VOILUTSequence = [lut(0, 51, 102, 255, first=10, bits=16)]
    assert greys(ds) == [0.0, 0.2, 0.4, 1.0]


@pytest.mark.parametrize(
    ("centre", "width"),
    [(2048, 0), (2048, -5), (2048, 1), (90000, 100), (-90000, 100), (0, 1e9), (0, 0)],
)
def test_a_window_that_shows_nothing_is_ignored(centre: float, width: float) -> None:
    """If the window leaves the film black, white or evenly grey, its own range is used."""
    image = to_image(picture(window=(centre, width)))
    assert image.notes["window"] == "pixels"
    assert np.ptp(image.pixels) == 1.0


def test_without_a_window_a_few_hot_pixels_do_not_darken_the_film() -> None:
    """The film's own range leaves out both tails of the histogram."""
    ds = film(phantom(96, 80, marker=None) * 0.1, stored=Stored(bits=16), window=None)
    stored = np.frombuffer(ds.PixelData, "<u2").copy()
    stored[:5] = 65535
    ds.PixelData = stored.tobytes()
    assert 0.3 < to_image(ds).pixels.mean() < 0.8


# --- polarity ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted", "contradicts"),
    [
        ("MONOCHROME2", None, False, False),
        ("MONOCHROME1", None, True, False),
        ("MONOCHROME2", "IDENTITY", False, False),
        ("MONOCHROME1", "INVERSE", True, False),  # what DX requires; the two do not cancel
        ("MONOCHROME2", "INVERSE", True, True),
        ("MONOCHROME1", "IDENTITY", True, True),
    ],
)
def test_low_is_white_when_the_header_says_so(
    photometric: str, shape: str | None, inverted: bool, contradicts: bool
) -> None:
    """MONOCHROME1 or Presentation LUT Shape INVERSE inverts grey after the window, once."""
    ds = two_by_two(50, 75, 100, 150, WindowCenter=100.5, WindowWidth=101)
    ds.PhotometricInterpretation = photometric
    if shape:
        ds.PresentationLUTShape = shape
    assert greys(ds) == ([1.0, 0.75, 0.5, 0.0] if inverted else [0.0, 0.25, 0.5, 1.0])
    notes = to_image(ds).notes
    assert notes["inverted"] == ("yes" if inverted else "no")
    assert ("polarity" in notes) is contradicts


@pytest.mark.parametrize("kind", ["cr", "dx", "sc"])
def test_monochrome1_is_the_same_film(kind: str) -> None:
    """Bone is white whichever way the modality stores it."""
    one = to_image(picture(stored=Stored(photometric="MONOCHROME1"), kind=kind)).pixels
    two = to_image(picture(stored=Stored(photometric="MONOCHROME2"), kind=kind)).pixels
    np.testing.assert_allclose(one, two, atol=2 / 4095)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_linear_detector_data_become_a_film(photometric: str) -> None:
    """Counts for processing get a logarithm; their sign decides on polarity, not MONOCHROME1."""
    image = to_image(picture(stored=Stored(bits=14, photometric=photometric), kind="dx-processing"))
    assert image.notes["logarithm"] == "yes"
    assert np.corrcoef(image.pixels.ravel(), phantom(96, 80, marker=None).ravel())[0, 1] > 0.99


def test_an_inverted_linear_film_gets_its_logarithm_from_the_top() -> None:
    """With a sign of -1 high values are dense."""
    ds = picture(stored=Stored(bits=14), kind="dx-processing", PixelIntensityRelationshipSign=-1)
    ds.PixelData = (16383 - np.frombuffer(ds.PixelData, "<u2")).astype("<u2").tobytes()
    image = to_image(ds)
    assert image.notes["inverted"] == "no"
    assert np.corrcoef(image.pixels.ravel(), phantom(96, 80, marker=None).ravel())[0, 1] > 0.99


# --- padding and spacing -------------------------------------------------------------------------


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_shape_the_window(photometric: str) -> None:
    """A collimated border stays out of the range and is drawn black."""
    ds = film(
        phantom(96, 80, marker=None) * 0.5 + 0.2,
        stored=Stored(bits=12, photometric=photometric),
        window=None,
    )
    stored = np.frombuffer(ds.PixelData, "<u2").reshape(96, 80).copy()
    inside = to_image(ds).pixels[:, 40:]
    stored[:, :40] = 4090
    ds.PixelData, ds.PixelPaddingValue, ds.PixelPaddingRangeLimit = stored.tobytes(), 4085, 4095
    pixels = to_image(ds).pixels
    assert not pixels[:, :40].any()
    assert pixels[:, 40:].max() == 1.0
    assert np.corrcoef(pixels[:, 40:].ravel(), inside.ravel())[0, 1] > 0.99


def test_padding_read_in_the_wrong_sign_is_still_padding() -> None:
    """A padding value of -2000 written as US 63536 is still recognised."""
    ds = picture(stored=Stored(bits=16, signed=True), PixelPaddingValue=63536)
    stored = np.frombuffer(ds.PixelData, "<i2").reshape(96, 80).copy()
    stored[:8] = -2000
    ds.PixelData = stored.tobytes()
    assert not to_image(ds).pixels[:8].any()


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"PixelSpacing": [0.2, 0.3], "ImagerPixelSpacing": [0.4, 0.4]}, (0.2, 0.2)),
        ({"ImagerPixelSpacing": [0.4, 0.5]}, (0.4, 0.4)),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.4, 0.4]}, (0.4, 0.4)),
        ({"PixelSpacing": [0, 0]}, None),
        ({}, None),
    ],
    ids=str,
)
def test_spacing_is_the_first_that_makes_sense(
    elements: dict[str, object], expected: tuple[float, float] | None
) -> None:
    """Pixel Spacing, else Imager Pixel Spacing, else unknown; oblong pixels are resampled."""
    assert to_image(picture(spacing=None, **elements)).spacing_mm == expected


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
        JPEGLosslessSV1,
    ],
    ids=lambda uid: uid.keyword,
)
def test_a_file_without_preamble_and_meta_is_read(syntax: str, tmp_path: Path) -> None:
    """The transfer syntax is found from the bytes."""
    ds = picture(syntax=syntax)
    path = tmp_path / "bare.dcm"
    bare = copy.deepcopy(ds)
    del bare.file_meta
    bare.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    np.testing.assert_array_equal(to_image(read_dataset(path)).pixels, to_image(ds).pixels)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\0" * 4096, b"{}" * 500, bytes(range(256)) * 8, b"\x89PNG\r\n\x1a\n" * 64],
    ids=["empty", "text", "zeros", "json", "bytes", "png"],
)
def test_what_is_not_dicom_is_refused(content: bytes, tmp_path: Path) -> None:
    """Any other file is refused with the code `file`."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NotAFrontalChestFilm) as refusal:
        read_dataset(path)
    assert refusal.value.code == RefusalCode.FILE


def test_a_sequence_that_is_cut_off_is_a_refusal(tmp_path: Path) -> None:
    """pydicom raises an OSError for it, but the disk is not at fault: a refusal, no retry."""
    sop_class = b"\x08\x00\x16\x00UI\x02\x001\x00"
    sequence = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff"
    path = tmp_path / "file"
    path.write_bytes(sop_class + sequence)
    with pytest.raises(NotAFrontalChestFilm) as refusal:
        read_dataset(path)
    assert refusal.value.code == RefusalCode.FILE


def test_a_missing_file_is_not_a_refusal(tmp_path: Path) -> None:
    """A path that does not exist raises the system's own error."""
    with pytest.raises(FileNotFoundError):
        read_dataset(tmp_path / "missing.dcm")


def test_values_that_break_their_vr_neither_raise_nor_warn(tmp_path: Path) -> None:
    """An invalid value costs its element, not the film, and writes no warning."""
    path = write(picture(window=(2048, 4096), PatientAge="056Y"), tmp_path / "film.dcm")
    path.write_bytes(path.read_bytes().replace(b"056Y", b"old!").replace(b"2048", b"2O48"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = read_dataset(path)
        assert ds.PatientAge == "old!"
        assert to_image(ds).notes["window"] == "pixels"


def test_items_in_place_of_a_number_are_left_out(tmp_path: Path) -> None:
    """A sequence where a value belongs, or the reverse, costs that element only."""
    ds = picture()
    for keyword, vr, value in (("PixelSpacing", "SQ", []), ("ViewCodeSequence", "LO", "PA")):
        ds.add(DataElement(keyword, vr, value))
    read = read_dataset(write(ds, tmp_path / "film.dcm"))
    assert "PixelSpacing" not in read
    assert "ViewCodeSequence" not in read
    assert read.Rows == ds.Rows


def test_real_films_show_bone_white() -> None:
    """The public RG1 chest (CR, MONOCHROME1, 15 bit): lungs darker than the spine between them."""
    data = pytest.importorskip("pydicom.data")
    path = data.get_testdata_file("RG1_UNCR.dcm", download=False)
    if path is None:
        pytest.skip("pydicom-data is not installed")
    image = to_image(read_dataset(Path(path)))
    rows, columns = image.pixels.shape
    band = image.pixels[int(rows * 0.20) : int(rows * 0.35)]
    spine = band[:, int(columns * 0.47) : int(columns * 0.53)].mean()
    lungs = np.r_[band[:, int(columns * 0.22) : int(columns * 0.35)].ravel()].mean()
    assert lungs < spine - 0.05
    assert image.spacing_mm is None  # the header says 0.000


# A 64 x 48 ramp, 30 * (row + column), encoded with OpenJPH: nothing we install encodes HTJ2K.
_HTJ2K_RAMP = b64decode(
    "/0//UQApQAAAAAAwAAAAQAAAAAAAAAAAAAAAMAAAAEAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUE"
    "BEAB/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAQ0AAf+TwAAr"
    "ACEAj/cX+IXvAsM0AMAAE0AAE4DD4QCLdABIROIAo1QAwAAVUAAFUCKKECHil+ILdQAiihDxwCEAjLYAwAAWhAAB"
    "aAAQEBAQEBAQEN4KenpxgngAECEgICAg/vwAGPYxgey5AMAAFtwAAW0ABoPBYDAYDAaDwWAwGAzz/gp6enp6enpx"
    "An0AhgaDwWAwGAwGg+H/coIQHv2IQHv2IQHsvwDAAC6mAAF1QFprrbXWWmuttdZaa6211lprrbXW/X/6enp6enp6"
    "enp6enp6enpwAnUButZaa6211lprrbXWWmut/398AAB79gAB79gAB79gAB79gAB79gAB7LsB/9k="
)


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_high_throughput_jpeg_2000_is_decoded_to_the_last_bit(syntax: UID) -> None:
    """All three HTJ2K transfer syntaxes are read, PS3.5 A.4.11."""
    ramp = np.add.outer(np.arange(64), np.arange(48)).astype(np.float32)
    ds = film(phantom(64, 48), stored=Stored(bits=16), window=None)
    ds.PixelData = encapsulate([_HTJ2K_RAMP])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    shown = to_image(ds).pixels
    low, high = np.percentile(ramp, (0.5, 99.5))
    expected = np.clip((ramp - low) / (high - low), 0, 1)
    assert np.abs(shown - expected).max() < 0.02
