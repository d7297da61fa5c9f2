"""Convert a film to network input; training and the node share this code.

Maps are tensors (B, 1, S, S), S the side of the network frame. Nothing here is learned.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.reading import Frame

#: Darkest and brightest shares of the film that contrast stretching clips, percent.
CONTRAST_PERCENTILES = (1.0, 99.0)
#: Standardised pixels are clipped to this many standard deviations.
CLIP = 4.0


def frame_of(rows: int, columns: int, size: int) -> Frame:
    """Where a film lies in the square frame: its long side fills it, the short side is centred.

    Parameters
    ----------
    rows, columns
        Of the film, pixels.
    size
        Side of the network frame, pixels.
    """
    scale = size / max(rows, columns)
    height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
    return Frame(
        rows=rows,
        columns=columns,
        size=size,
        scale=scale,
        top=(size - height) // 2,
        left=(size - width) // 2,
        height=height,
        width=width,
    )


def to_network(image: NDArray[np.float32], size: int) -> tuple[NDArray[np.float32], Frame]:
    """Letterbox a film into the network frame and stretch its contrast.

    The resize is antialiased and keeps the aspect. The contrast is stretched between two
    percentiles of the film's own pixels (`stretch`), so that windows and exposures compare.

    Parameters
    ----------
    image
        (H, W) float32 in [0, 1].
    size
        Side of the network frame, pixels.

    Returns
    -------
    pixels : array
        (size, size) float32 in [0, 1], 0 in the padding.
    frame : Frame
        Where the film lies in it.
    """
    rows, columns = image.shape
    frame = frame_of(rows, columns, size)
    film = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]
    film = functional.interpolate(
        film, (frame.height, frame.width), mode="bilinear", align_corners=False, antialias=True
    )
    pixels = stretch(film[0, 0].numpy())
    network = np.zeros((size, size), np.float32)
    network[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width] = pixels
    return network, frame


def stretch(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spread the pixels between `CONTRAST_PERCENTILES` over [0, 1]; a flat film becomes 0."""
    low, high = np.percentile(pixels, CONTRAST_PERCENTILES)
    if high - low < 1e-6:
        return np.zeros_like(pixels)
    spread: NDArray[np.float32] = np.clip((pixels - low) / (high - low), 0.0, 1.0, dtype=np.float32)
    return spread


def film_area(frame: Frame) -> NDArray[np.bool_]:
    """Return (size, size) bool: True where the frame holds film, False in the padding."""
    area = np.zeros((frame.size, frame.size), np.bool_)
    area[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width] = True
    return area


def dilate(mask: Tensor, margin: int) -> Tensor:
    """Grow a mask by a square of ``margin`` pixels in each direction.

    Parameters
    ----------
    mask
        Zeros and ones, float, (B, 1, S, S).
    margin
        Network pixels; the mask is returned as it is if this is 0 or less.
    """
    if margin <= 0:
        return mask
    side, around = 2 * margin + 1, (margin + 1, margin) * 2
    # Sums over rectangles from the corner; float32 counts exactly to 2^24.
    sums = functional.pad(mask.float(), around).cumsum(2).cumsum(3)
    rows = sums[:, :, side:] - sums[:, :, :-side]
    return (rows[..., side:] - rows[..., :-side] > 0.5).to(mask.dtype)


def mask_film(x: Tensor, lungs: Tensor, margin: int) -> Tensor:
    """Return stage 2's input: the film inside the lungs grown by ``margin`` pixels, 0 elsewhere.

    Inside, the pixels are standardised by their own mean and deviation, which removes exposure and
    window, the traits that give a film's source away.

    Parameters
    ----------
    x
        Films, (B, 1, S, S) in [0, 1].
    lungs
        Zeros and ones, (B, 1, S, S).
    margin
        Network pixels.

    Returns
    -------
    Tensor
        (B, 1, S, S) in [-`CLIP`, `CLIP`], in standard deviations; zeros for a film without lungs.
    """
    inside = dilate(lungs.to(x.dtype), margin)
    count = inside.sum(dim=(2, 3), keepdim=True).clamp(min=1.0)
    mean = (x * inside).sum(dim=(2, 3), keepdim=True) / count
    variance = ((x - mean).square() * inside).sum(dim=(2, 3), keepdim=True) / count
    return ((x - mean) / (variance + 1e-6).sqrt()).clamp(-CLIP, CLIP) * inside


def gate(x: Tensor, h2: Tensor, floor: float = 0.0) -> Tensor:
    """Stage 3's input, x ⊙ H2 (paper eq. 3).

    Parameters
    ----------
    x
        The film as stage 2 saw it, from `mask_film`: (B, 1, S, S).
    h2
        Stage 2's heatmap, (B, 1, S, S) in [0, 1].
    floor
        What H2 is raised to where it is 0, in [0, 1]: x ⊙ (floor + (1 - floor) H2). 0 is eq. 3,
        1 the film without H2.
    """
    return x * (floor + (1.0 - floor) * h2)
