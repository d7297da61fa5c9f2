"""Pixels that are not square are made square; a mirror image is turned round."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from support.film import film, phantom

from dicom_node.domain.values import Geometry
from dicom_node.pixels import to_image
from dicom_node.pixels.geometry import mirrored_by, pixel_ratio

WHOLE = phantom(256, 224)
HALF = np.ascontiguousarray(WHOLE[::2])


def square(**elements: object) -> Dataset:
    return film(WHOLE, spacing=None, **elements)  # type: ignore[arg-type]


def half(**elements: object) -> Dataset:
    """Every second row of the film."""
    return film(HALF, spacing=None, **elements)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "elements",
    [
        {"PixelAspectRatio": [2, 1]},
        {"PixelAspectRatio": [200, 100]},
        {"PixelSpacing": [0.4, 0.2]},
        {"ImagerPixelSpacing": [0.4, 0.2]},
        {"NominalScannedPixelSpacing": [0.4, 0.2]},
        {"PixelSpacing": [0, 0], "PixelAspectRatio": [2, 1]},
        {"PixelSpacing": [0.4, 0.2], "PixelAspectRatio": [1, 1]},
    ],
    ids=str,
)
def test_rows_of_twice_the_height_are_resampled(elements: dict[str, object]) -> None:
    """A film with every second row left out is nearly the film again (PS3.3 C.7.6.3.1.7)."""
    image = to_image(half(**elements))
    assert image.pixels.shape == (256, 224)
    assert image.pixels.flags.c_contiguous
    assert np.abs(image.pixels - to_image(square()).pixels).mean() < 0.03
    assert image.geometry == Geometry(rows=128, columns=224)
    assert "2:1" in image.notes["aspect"]
    if image.spacing_mm is not None:
        assert image.spacing_mm == (0.2, 0.2)


def test_columns_of_twice_the_width_are_resampled() -> None:
    """The coarser axis is stretched: no pixel is lost."""
    wide = film(np.ascontiguousarray(WHOLE[:, ::2]), spacing=None, PixelAspectRatio=[1, 2])
    image = to_image(wide)
    assert image.pixels.shape == (256, 224)
    assert np.abs(image.pixels - to_image(square()).pixels).mean() < 0.03


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"PixelAspectRatio": [1, 1]},
        {"PixelSpacing": [0.143, 0.1433]},
        {"PixelSpacing": [0.2, 0.2], "PixelAspectRatio": [2, 1]},  # spacing counts
        {"PixelAspectRatio": [0, 1]},
        {"PixelAspectRatio": [-2, 1]},
        {"PixelAspectRatio": [2]},
        {"PixelAspectRatio": [1000, 1]},
    ],
    ids=str,
)
def test_square_pixels_and_nonsense_change_nothing(elements: dict[str, object]) -> None:
    """Rounded, missing and impossible ratios leave the film's own pixels."""
    image = to_image(square(**elements))
    assert image.geometry is None
    assert image.pixels.shape == WHOLE.shape
    assert "aspect" not in image.notes


@pytest.mark.parametrize(
    ("elements", "mirrored"),
    [
        ({"PatientOrientation": ["R", "F"]}, True),
        ({"PatientOrientation": ["RA", "FP"]}, True),
        ({"PatientOrientation": "", "FieldOfViewHorizontalFlip": "YES"}, True),
        ({"PatientOrientation": ["L", "F"]}, False),
        ({"PatientOrientation": ["L", "F"], "FieldOfViewHorizontalFlip": "YES"}, False),
        ({"PatientOrientation": ["R", "H"]}, False),  # turned by 180 degrees: the gate's to refuse
        ({"PatientOrientation": "", "FieldOfViewHorizontalFlip": "NO"}, False),
        ({"PatientOrientation": ""}, False),
    ],
    ids=str,
)
def test_a_mirror_image_is_turned_round(elements: dict[str, object], mirrored: bool) -> None:
    """The patient's left is on the right of the image, and the note names the element."""
    ds = film(np.ascontiguousarray(WHOLE[:, ::-1]), **elements)  # type: ignore[arg-type]
    image = to_image(ds)
    expected = WHOLE if mirrored else WHOLE[:, ::-1]
    np.testing.assert_allclose(image.pixels, expected, atol=0.001)
    assert (image.geometry is not None) is mirrored
    assert image.notes.get("mirrored") == mirrored_by(ds)


@settings(max_examples=40, deadline=None)
@given(
    ratio=st.lists(st.integers(-5, 5000), min_size=1, max_size=3),
    between=st.lists(st.floats(-1, 10, allow_nan=False), max_size=3),
    orientation=st.lists(st.sampled_from(["", "L", "R", "F", "H", "A", "RF"]), max_size=3),
)
def test_any_geometry_gives_an_image_of_bounded_size(
    ratio: list[int], between: list[float], orientation: list[str]
) -> None:
    """Whatever the header says, the image is finite and at most ten times the film."""
    ds = film(phantom(24, 16), spacing=None)
    ds.PixelAspectRatio, ds.PatientOrientation = ratio, orientation
    ds.add_new("PixelSpacing", "FD", between)
    image = to_image(ds)
    assert np.isfinite(image.pixels).all()
    assert image.pixels.size <= 10.5 * 24 * 16
    assert 0.1 <= pixel_ratio(ds) <= 10
