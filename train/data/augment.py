"""Films as they might have been: other positioning, exposure, sharpness, noise, things in the way.

Every draw comes from the generator given, so a step of training can be repeated exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How far a film may be moved."""

    turn: float = 0.18  # radians, either way
    zoom: float = 0.15  # share, either way
    shift: float = 0.08  # of half the frame, either way


def affine(batch: int, geometry: Geometry, generator: Generator) -> Tensor:
    """Draw a turn, zoom, shift and left-right flip for each film: (B, 2, 3)."""
    turn = geometry.turn * _sway(batch, generator)
    zoom = 1.0 + geometry.zoom * _sway(batch, generator)
    shift = geometry.shift * torch.stack([_sway(batch, generator), _sway(batch, generator)], 1)
    flip = torch.where(torch.rand(batch, generator=generator) < 0.5, -1.0, 1.0)
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    rows = torch.stack([flip * cos, -sin, flip * sin, cos], 1).view(batch, 2, 2)
    return torch.cat([rows, shift[:, :, None]], 2)


def warp(maps: Tensor, theta: Tensor, *, mode: str = "bilinear") -> Tensor:
    """Move maps (B, C, S, S) by ``theta``; what comes in from outside is 0."""
    grid = functional.affine_grid(theta, list(maps.shape), align_corners=False)
    return functional.grid_sample(maps, grid, mode=mode, align_corners=False)


def expose(x: Tensor, generator: Generator) -> Tensor:
    """Other gamma, contrast, brightness and noise for films in [0, 1]."""
    gamma = torch.exp(0.5 * _per_film(x, generator))
    contrast = 1.0 + 0.2 * _per_film(x, generator)
    brightness = 0.1 * _per_film(x, generator)
    grain = 0.03 * torch.rand(len(x), 1, 1, 1, generator=generator)
    lit = x.clamp(min=1e-4) ** gamma * contrast + brightness + grain * _noise(x, generator)
    return lit.clamp(0.0, 1.0)


def disturb(x: Tensor, generator: Generator) -> Tensor:
    """Other contrast, brightness, sharpness and noise for masked, standardised films."""
    inside = x != 0
    lit = x * (1.0 + 0.25 * _per_film(x, generator)) + 0.25 * _per_film(x, generator)
    blurred = functional.avg_pool2d(lit, 3, stride=1, padding=1)
    soft = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.3
    grain = 0.15 * torch.rand(len(x), 1, 1, 1, generator=generator)
    noisy = torch.where(soft, blurred, lit) + grain * _noise(x, generator)
    return noisy.clamp(-4.0, 4.0) * inside


def cut_out(x: Tensor, generator: Generator, share: float = 0.3) -> Tensor:
    """Blank a box of up to a quarter of the side in this share of the films."""
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
