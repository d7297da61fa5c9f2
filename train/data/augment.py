"""Films as they might have been: other positioning, exposure, sharpness, noise, things in the way.

Films are (B, 1, S, S) float32 in [0, 1] on the CPU and are not changed in place. Every draw comes
from the generator given, so a step of training can be repeated exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How far a film may be moved."""

    turn: float = 0.18  # radians, either way
    zoom: float = 0.15  # share, either way
    shift: float = 0.08  # of half the frame, either way


def affine(batch: int, geometry: Geometry, generator: Generator) -> Tensor:
    """Draw a turn, zoom, shift and left-right flip for each film of a batch.

    Returns
    -------
    Tensor
        (B, 2, 3), output to input coordinates in [-1, 1], as `warp` takes them. Each draw is
        uniform in its range; about half of the films are flipped.
    """
    turn = geometry.turn * _sway(batch, generator)
    zoom = 1.0 + geometry.zoom * _sway(batch, generator)
    shift = geometry.shift * torch.stack([_sway(batch, generator), _sway(batch, generator)], 1)
    flip = torch.where(torch.rand(batch, generator=generator) < 0.5, -1.0, 1.0)
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    rows = torch.stack([flip * cos, -sin, flip * sin, cos], 1).view(batch, 2, 2)
    return torch.cat([rows, shift[:, :, None]], 2)


def warp(maps: Tensor, theta: Tensor, *, mode: str = "bilinear", size: int | None = None) -> Tensor:
    """Move maps, to another side if asked.

    Parameters
    ----------
    maps
        (B, C, S, S).
    theta
        From `affine`: (B, 2, 3).
    mode
        "bilinear", or "nearest" for masks.
    size
        Side of the result, pixels; None: S.

    Returns
    -------
    Tensor
        (B, C, size, size); 0 where a place lies outside of ``maps``.
    """
    shape = list(maps.shape) if size is None else [*maps.shape[:2], size, size]
    grid = functional.affine_grid(theta, shape, align_corners=False)
    return functional.grid_sample(maps, grid, mode=mode, align_corners=False)


def expose(x: Tensor, generator: Generator) -> Tensor:
    """Draw another gamma, contrast, brightness and noise for each film.

    Gamma is 0.61 to 1.65, contrast 0.8 to 1.2, brightness -0.1 to 0.1; noise is Gaussian, of a
    deviation up to 0.03. The result is clipped to [0, 1].
    """
    gamma = torch.exp(0.5 * _per_film(x, generator))
    contrast = 1.0 + 0.2 * _per_film(x, generator)
    brightness = 0.1 * _per_film(x, generator)
    grain = 0.03 * torch.rand(len(x), 1, 1, 1, generator=generator)
    lit = x.clamp(min=1e-4) ** gamma * contrast + brightness + grain * _noise(x, generator)
    return lit.clamp(0.0, 1.0)


def soften(x: Tensor, generator: Generator, share: float = 0.25) -> Tensor:
    """Blur this share of the films by 3 x 3 pixels: sharpness gives a film's source away."""
    soft = torch.rand(len(x), 1, 1, 1, generator=generator) < share
    return torch.where(soft, functional.avg_pool2d(x, 3, stride=1, padding=1), x)


def recode(x: Tensor, generator: Generator, share: float = 0.35) -> Tensor:
    """Encode this share of the films as JPEG of quality 35 to 94.

    About half of these are reduced before, to half of their side at least, and enlarged again.
    """
    x, side = x.clone(), x.shape[-1]
    for film in x:
        chance, quality, shrink = torch.rand(3, generator=generator).tolist()
        if chance >= share:
            continue
        small = int(side * min(1.0, 0.5 + 0.9 * shrink))
        picture = Image.fromarray((film[0].numpy() * 255.0).astype(np.uint8))
        file = BytesIO()
        picture.resize((small, small), Image.Resampling.BILINEAR).save(
            file, "JPEG", quality=int(35 + 60 * quality)
        )
        again = Image.open(file).resize((side, side), Image.Resampling.BILINEAR)
        film[0] = torch.from_numpy(np.asarray(again, dtype=np.float32) / 255.0)
    return x


def opacify(x: Tensor, masks: Tensor, generator: Generator, share: float = 0.55) -> Tensor:
    """Draw an opacity into one lung of this share of the films.

    A smooth patch anywhere in the lung, or one that fills it from its base up: stage 1 learns that
    an opacified lung is lung.

    Parameters
    ----------
    x
        (B, 1, S, S) in [0, 1]; S is a multiple of 4.
    masks
        The lungs, (B, S, S), inside where above 1/2.
    generator
        Of all draws.
    share
        Probability of an opacity for each film. A film with hardly any lung gets none.

    Returns
    -------
    Tensor
        (B, 1, S, S) in [0, 1].
    """
    x, side = x.clone(), x.shape[-1]
    places = torch.arange(_COARSE / 2 - 0.5, side, _COARSE)
    rows, columns = torch.meshgrid(places, places, indexing="ij")
    for film, mask in zip(x, masks, strict=True):
        draws = torch.rand(9, generator=generator).tolist()
        lungs = mask[_COARSE // 2 :: _COARSE, _COARSE // 2 :: _COARSE] > 0.5
        middle = columns[lungs].mean()
        left = draws[1] < 0.5
        lung = lungs & ((columns < middle) if left else (columns >= middle))
        if draws[0] >= share or int(lung.sum()) < _SMALLEST:
            continue
        beside = (middle - columns) if left else (columns - middle)
        basal = draws[5] < 0.4
        shape = _basal if basal else _patch
        veil = shape(rows, columns, lung, beside, draws) * (0.5 + 0.5 * draws[4])
        veil = functional.interpolate(veil[None, None], (side, side), mode="bilinear")[0, 0]
        grain = torch.randn(1, 1, 24, 24, generator=generator) * 0.04
        grain = functional.interpolate(grain, (side, side), mode="bicubic")[0, 0]
        film[0] = film[0] * (1.0 - veil) + (0.55 + 0.4 * draws[3] + grain) * veil
    return x.clamp(0.0, 1.0)


# Opacities are drawn on a grid this coarse, pixels, into lungs of at least so many of its cells.
_COARSE, _SMALLEST = 4, 20


def _basal(
    rows: Tensor, columns: Tensor, lung: Tensor, beside: Tensor, draws: list[float]
) -> Tensor:
    """From some height down, below a sloping line, as an effusion or a whole lobe."""
    heights = rows[lung]
    top = heights.min() + (heights.max() - heights.min()) * 0.75 * draws[6]
    slope, soft = 0.6 * (draws[7] - 0.5), 2.0 + 8.0 * draws[2]
    veil = torch.sigmoid((rows - top - slope * beside) / soft) * torch.sigmoid(beside / 6.0)
    near = functional.avg_pool2d(lung.float()[None, None], 7, stride=1, padding=3)[0, 0] > 0.02
    return veil * near


def _patch(
    rows: Tensor, columns: Tensor, lung: Tensor, beside: Tensor, draws: list[float]
) -> Tensor:
    """Around one place of the lung, soft or sharp at its edge."""
    inside = lung.nonzero()
    row, column = inside[int(draws[8] * (len(inside) - 1))].tolist()
    high, wide = 8.0 + 45.0 * draws[6], 8.0 + 35.0 * draws[7]
    away = ((rows - rows[row, column]) / high) ** 2 + ((columns - columns[row, column]) / wide) ** 2
    return torch.exp(-(away ** (1.0 + 2.0 * draws[2])))


def cut_out(x: Tensor, generator: Generator, share: float = 0.3) -> Tensor:
    """Set a box to 0 in this share of the films; its sides are 8 to 23 % of the frame's.

    In films of `preprocess.mask_film`, 0 is the mean of the lungs.
    """
    x, side = x.clone(), x.shape[-1]
    for film in x:
        if torch.rand((), generator=generator) < share:
            height, width = (side * (0.08 + 0.15 * torch.rand(2, generator=generator))).int()
            place = torch.rand(2, generator=generator)
            top, left = int(place[0] * (side - height)), int(place[1] * (side - width))
            film[:, top : top + int(height), left : left + int(width)] = 0.0
    return x


def _sway(count: int, generator: Generator) -> Tensor:
    """Uniform in [-1, 1]: (count,)."""
    return 2.0 * torch.rand(count, generator=generator) - 1.0


def _per_film(x: Tensor, generator: Generator) -> Tensor:
    return _sway(len(x), generator).view(-1, 1, 1, 1)


def _noise(x: Tensor, generator: Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator)
