"""Stage 1: shapes and the clean-up of its masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models import unet


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 1, 64, 64), (1, 2, 64, 64)),
        ((3, 1, 96, 96), (3, 2, 96, 96)),
        ((1, 1, 128, 64), (1, 2, 128, 64)),
    ],
)
def test_two_masks_of_the_size_of_the_film(
    shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """Channels `AERATED` and `FIELD`, any side divisible by 16."""
    with torch.inference_mode():
        assert unet.LungUNet().eval()(torch.rand(shape)).shape == expected


def test_cleaning_keeps_two_lungs_and_fills_their_holes() -> None:
    """The two largest pieces stay, a third and specks go, holes close."""
    mask = np.zeros((100, 100), np.bool_)
    mask[20:80, 10:40] = mask[20:80, 60:90] = True
    lungs = mask.copy()
    mask[40:45, 20:25] = False  # a hole
    mask[2:12, 45:55] = True  # a third piece, large enough to be one
    mask[95, 95] = True
    np.testing.assert_array_equal(unet.clean(mask), lungs)


def test_one_lung_does_not_keep_a_speck_for_company() -> None:
    """A second piece below half a percent of the frame is no lung."""
    mask = np.zeros((100, 100), np.bool_)
    mask[20:80, 10:40] = True
    lung = mask.copy()
    mask[90, 90] = True
    np.testing.assert_array_equal(unet.clean(mask), lung)


def test_a_lonely_speck_stays_and_nothing_stays_nothing() -> None:
    """Where all pieces are small the largest is kept; an empty mask stays empty."""
    mask = np.zeros((100, 100), np.bool_)
    assert not unet.clean(mask).any()
    mask[50, 50:52] = mask[10, 10] = True
    assert unet.clean(mask).sum() == 2


def test_lungs_in_the_padding_are_dropped() -> None:
    """A mask ends where the film ends."""
    area = np.zeros((32, 32), np.bool_)
    area[:, 8:24] = True
    logits = torch.full((2, 32, 32), 5.0)
    logits[0] = -5.0
    aerated, field = unet.masks(logits, area, 0.5)
    assert not aerated.any()
    np.testing.assert_array_equal(field, area)


def test_two_lungs_are_compared_and_a_missing_base_is_suspicious() -> None:
    """Areas and bases count, a thin tail is no base; what is not two lungs is not compared."""
    mask = np.zeros((100, 100), np.bool_)
    mask[20:80, 10:40] = mask[20:80, 60:90] = True
    even = unet.asymmetry(mask, 100)
    assert even is not None
    assert (even.area_ratio, even.base_difference, even.suspicious) == (1.0, 0.0, False)
    mask[80:95, 10:12] = True  # a deep costophrenic angle
    deep = unet.asymmetry(mask, 100)
    assert deep is not None
    assert deep.base_difference < 0.01
    mask[80:95, 10:12] = False
    mask[65:80, 60:90] = False
    cut = unet.asymmetry(mask, 100)
    assert cut is not None
    assert cut.area_ratio == pytest.approx(0.75)
    assert cut.base_difference == pytest.approx(0.15, abs=0.01)
    assert cut.suspicious
    mask[:, 60:90] = False
    assert unet.asymmetry(mask, 100) is None
