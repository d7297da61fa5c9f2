"""Augmentation keeps what must stay."""

from __future__ import annotations

import torch

from train.data import augment


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_no_movement_leaves_a_film_alone() -> None:
    """Warping by the identity changes nothing."""
    x = torch.rand(2, 1, 16, 16, generator=_generator())
    identity = torch.eye(2, 3).expand(2, 2, 3)
    assert torch.allclose(augment.warp(x, identity), x, atol=1e-5)


def test_film_and_mask_move_together() -> None:
    """A mask moved with its film still covers the same pixels."""
    x = torch.zeros(4, 1, 64, 64)
    x[:, :, 20:40, 15:30] = 1.0
    theta = augment.affine(4, augment.Geometry(), _generator())
    moved = augment.warp(x, theta)
    mask = augment.warp(x, theta, mode="nearest")
    assert ((moved > 0.5) != (mask > 0.5)).float().mean() < 0.01
    assert not torch.allclose(moved, x)


def test_exposure_stays_in_range() -> None:
    """An exposed film stays in [0, 1]."""
    x = augment.expose(torch.rand(8, 1, 16, 16, generator=_generator()), _generator())
    assert x.min() >= 0
    assert x.max() <= 1


def test_the_same_generator_gives_the_same_film() -> None:
    """A step can be repeated exactly."""
    x = torch.rand(4, 1, 32, 32, generator=_generator())
    first = augment.cut_out(augment.expose(x, _generator()), _generator())
    again = augment.cut_out(augment.expose(x, _generator()), _generator())
    assert torch.equal(first, again)
