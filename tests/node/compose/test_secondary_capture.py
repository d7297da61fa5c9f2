"""Pictures as Secondary Capture images: header, spacing, encodings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGLSLossless
from support import readings
from support.objects import composed, context, fixed_film, small_film, through_disk

from dicom_node import check_objects, compose

SHAPE = (321, 487)  # odd on both sides


def encoded(encoding: str, source: Dataset | None = None, **results: object) -> list[Dataset]:
    """The objects of a negative film whose heatmap is wanted: summary and H2 come first."""
    source = source or small_film(rows=SHAPE[0], columns=SHAPE[1])
    what: compose.Context = replace(
        context(),
        results=context().results.model_copy(
            update={"encoding": encoding, "heatmaps": "all", **results}
        ),
    )
    return composed(source, readings.negative(readings.frame(source.Rows, source.Columns)), what)


def h2(encoding: str, folder: Path, source: Dataset | None = None) -> Dataset:
    """Written, and read as an archive reads it."""
    return through_disk(encoded(encoding, source)[1:2], folder)[0]


@pytest.mark.parametrize(
    ("encoding", "syntax", "photometric", "lossy"),
    [
        ("uncompressed", ExplicitVRLittleEndian, "RGB", "00"),
        ("jpeg", JPEGBaseline8Bit, "YBR_FULL_422", "01"),
        ("jpeg-ls", JPEGLSLossless, "RGB", "00"),
    ],
)
def test_the_header_says_how_the_picture_is_encoded(
    encoding: str, syntax: UID, photometric: str, lossy: str, tmp_path: Path
) -> None:
    """A viewer decodes by the header alone."""
    ds = h2(encoding, tmp_path)
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert ds.PhotometricInterpretation == photometric
    assert (ds.SamplesPerPixel, ds.BitsAllocated, ds.PlanarConfiguration) == (3, 8, 0)
    assert ds.LossyImageCompression == lossy
    assert ds.pixel_array.shape == (ds.Rows, ds.Columns, 3)


def test_jpeg_ls_loses_nothing(tmp_path: Path) -> None:
    """Pixel for pixel what is drawn, in fewer bytes."""
    plain, small = h2("uncompressed", tmp_path / "a"), h2("jpeg-ls", tmp_path / "b")
    np.testing.assert_array_equal(plain.pixel_array, small.pixel_array)
    assert len(small.PixelData) < 0.7 * len(plain.PixelData)
    assert "LossyImageCompressionRatio" not in small
    assert small.DerivationDescription == plain.DerivationDescription


def test_jpeg_is_near_what_is_drawn_and_much_smaller(tmp_path: Path) -> None:
    """Its colours come back as RGB: the sky blue of the lungs' outline stays blue."""
    plain, small = h2("uncompressed", tmp_path / "a"), h2("jpeg", tmp_path / "b")
    wrong = np.abs(plain.pixel_array.astype(int) - small.pixel_array)
    assert wrong.mean() < 3
    assert len(small.PixelData) < 0.25 * len(plain.PixelData)


def test_jpeg_says_what_was_lost() -> None:
    """Ratio, method and words, PS3.3 C.7.6.1.1.5."""
    ds = encoded("jpeg")[1]
    raw = ds.Rows * ds.Columns * 3
    assert float(ds.LossyImageCompressionRatio) == pytest.approx(raw / len(ds.PixelData), rel=0.02)
    assert ds.LossyImageCompressionMethod == "ISO_10918_1"
    assert "JPEG baseline" in ds.DerivationDescription
    assert ds.DerivationCodeSequence[-1].CodeValue == "113040"


def test_losses_of_the_film_come_before_those_of_the_picture() -> None:
    """One ratio and one method for each time something was lost."""
    source = small_film(rows=SHAPE[0], columns=SHAPE[1])
    source.LossyImageCompression = "01"
    source.LossyImageCompressionRatio, source.LossyImageCompressionMethod = "12.5", "ISO_15444_1"
    ds = encoded("jpeg", source)[1]
    assert float(ds.LossyImageCompressionRatio[0]) == 12.5
    assert list(ds.LossyImageCompressionMethod) == ["ISO_15444_1", "ISO_10918_1"]
    assert len(ds.LossyImageCompressionRatio) == 2


def test_a_shrunk_lossy_picture_says_both() -> None:
    """Resampled first, compressed then."""
    source = small_film(rows=900, columns=700)
    ds = encoded("jpeg", source, picture_width=512)[1]
    codes = [item.CodeValue for item in ds.DerivationCodeSequence]
    assert codes == ["113085", "113040"]


@pytest.mark.parametrize("encoding", ["uncompressed", "jpeg", "jpeg-ls"])
def test_every_encoding_passes_the_nodes_own_check(encoding: str, tmp_path: Path) -> None:
    """What fails it would never be sent."""
    source = fixed_film()
    assert check_objects.check(through_disk(encoded(encoding, source), tmp_path), source) == []


@pytest.mark.parametrize("encoding", ["jpeg", "jpeg-ls"])
def test_composing_twice_gives_the_same_bytes(encoding: str) -> None:
    """A retry sends what was sent."""
    first, second = encoded(encoding), encoded(encoding)
    assert [ds.PixelData for ds in first[:2]] == [ds.PixelData for ds in second[:2]]


def test_words_of_a_picture_are_in_the_configured_language(tmp_path: Path) -> None:
    """The title survives the way through a file."""
    picture = through_disk(encoded("uncompressed", language="zh-TW")[1:2], tmp_path)[0]
    assert picture.SpecificCharacterSet == "ISO_IR 192"
    assert str(picture.ImageComments).startswith("肺炎所見位置")
    assert picture.SeriesDescription == "AI details - NOT FOR DIAGNOSTIC USE"
