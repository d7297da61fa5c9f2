"""From a film to the network frame and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models import preprocess


@pytest.mark.parametrize(
    ("rows", "columns", "size", "box"),  # box: top, left, height, width in the frame
    [
        (512, 512, 512, (0, 0, 512, 512)),
        (1024, 512, 512, (0, 128, 512, 256)),
        (300, 600, 128, (32, 0, 64, 128)),
        (100, 80, 128, (0, 13, 128, 102)),
        (4000, 1, 64, (0, 31, 64, 1)),
    ],
)
def test_a_film_fills_the_frame_along_its_long_side(
    rows: int, columns: int, size: int, box: tuple[int, int, int, int]
) -> None:
    """Aspect kept, short side centred; the network sees floats in [0, 1] and zeros around them."""
    image = np.random.default_rng(0).random((rows, columns), dtype=np.float32)
    pixels, frame = preprocess.to_network(image, size)
    assert (frame.top, frame.left, frame.height, frame.width) == box
    assert pixels.shape == (size, size)
    assert pixels.dtype == np.float32
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert not pixels[~preprocess.film_area(frame)].any()


def test_points_come_back_to_the_film() -> None:
    """Corners of the film's box in the frame are the corners of the film."""
    frame = preprocess.frame_of(2000, 1000, 512)
    box = np.array([[128, 0], [128 + 256, 512]], float) - 0.5  # outer edges of pixels
    np.testing.assert_allclose(frame.to_film(box), [[-0.5, -0.5], [999.5, 1999.5]])


def test_a_spot_is_found_where_it_was_drawn() -> None:
    """A square drawn on the film, letterboxed, maps back to its own centre."""
    image = np.zeros((600, 400), np.float32)
    image[400:500, 50:150] = 1.0  # 4 % of the film: the percentiles leave it alone
    pixels, frame = preprocess.to_network(image, 128)
    row, column = np.argwhere(pixels >= 0.5).mean(axis=0)
    found = frame.to_film(np.array([[column, row]]))
    np.testing.assert_allclose(found, [[99.5, 449.5]], atol=2.4)  # half a network pixel


def test_cropping_leaves_the_film() -> None:
    """`Frame.crop` cuts exactly the padding off."""
    frame = preprocess.frame_of(100, 80, 128)
    area = preprocess.film_area(frame)
    assert frame.crop(area).all()
    assert frame.crop(area).size == area.sum()


def test_exposure_does_not_reach_the_network() -> None:
    """The same film brighter and flatter is the same input; a blank film is zeros."""
    image = np.random.default_rng(1).random((90, 70), dtype=np.float32)
    one, _ = preprocess.to_network(image, 64)
    other, _ = preprocess.to_network(0.3 + 0.4 * image, 64)
    np.testing.assert_allclose(one, other, atol=1e-4)
    blank, _ = preprocess.to_network(np.full((90, 70), 0.7, np.float32), 64)
    assert not blank.any()


@pytest.mark.parametrize("margin", [0, 1, 3])
def test_dilation_grows_a_square(margin: int) -> None:
    """One pixel becomes a square of side 2 margin + 1."""
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 8, 8] = 1
    grown = preprocess.dilate(mask, margin)
    assert grown.sum() == (2 * margin + 1) ** 2
    assert grown[..., 8 - margin : 9 + margin, 8 - margin : 9 + margin].all()


def test_masking_standardises_inside_and_clears_outside() -> None:
    """Inside the lungs mean 0 and deviation 1, outside exactly 0; no lungs, only zeros."""
    torch.manual_seed(0)
    x = torch.rand(2, 1, 32, 32)
    lungs = torch.zeros(2, 1, 32, 32)
    lungs[0, 0, 8:24, 4:20] = 1
    masked = preprocess.mask_film(x, lungs, 0)
    inside = masked[0, 0, 8:24, 4:20]
    torch.testing.assert_close(inside.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(inside.std(correction=0), torch.tensor(1.0), atol=1e-3, rtol=0)
    assert not masked[0][lungs[0] == 0].any()
    assert not masked[1].any()


def test_the_gate_is_a_product() -> None:
    """Paper eq. 3: pixel by pixel."""
    x, h2 = torch.tensor([[2.0, -3.0]]), torch.tensor([[0.5, 0.0]])
    torch.testing.assert_close(preprocess.gate(x, h2), torch.tensor([[1.0, -0.0]]))


def test_a_floor_lets_part_of_the_film_through_where_h2_is_zero() -> None:
    """From eq. 3 at a floor of 0 to the film itself at 1."""
    x, h2 = torch.tensor([[2.0, -3.0]]), torch.tensor([[0.5, 0.0]])
    torch.testing.assert_close(preprocess.gate(x, h2, 0.25), torch.tensor([[1.25, -0.75]]))
    torch.testing.assert_close(preprocess.gate(x, h2, 1.0), x)
