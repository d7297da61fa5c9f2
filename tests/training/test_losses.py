"""The losses against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from train.stages.losses import distillation, incremental_loss, lung_loss, smooth


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def test_equation_2_by_hand() -> None:
    """Cross-entropy counts every film, distillation only the films of the original data."""
    new, old, y, original = [0.3, -1.2, 2.0], [1.0, -0.5, 0.1], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]
    total, lam = 0.0, 0.7
    for z, previous, target, is_original in zip(new, old, y, original, strict=True):
        p, q = _sigmoid(z), _sigmoid(previous)
        total -= target * math.log(p) + (1 - target) * math.log(1 - p)
        kl = q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))
        total += lam * kl * is_original
    found = incremental_loss(
        torch.tensor(new),
        torch.tensor(y),
        previous=torch.tensor(old),
        original=torch.tensor(original),
        lam=lam,
    )
    assert found.item() == pytest.approx(total / 3, rel=1e-5)


def test_lambda_0_is_plain_training() -> None:
    """With lambda 0 the previous network has no say."""
    z, y = torch.tensor([0.3, -1.2]), torch.tensor([1.0, 0.0])
    plain = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
    told = incremental_loss(z, y, previous=torch.ones(2), original=torch.ones(2), lam=0.0)
    assert told.item() == pytest.approx(plain.item())


def test_agreeing_with_the_previous_network_costs_nothing() -> None:
    """Distillation is 0 where both networks agree and positive elsewhere, even far out."""
    z = torch.tensor([-200.0, -1.0, 0.0, 3.0, 200.0])
    assert torch.allclose(distillation(z, z), torch.zeros(5), atol=1e-6)
    assert (distillation(z, z.flip(0) + 0.5) > 0).all()


def test_a_mask_teaches_only_its_own_convention() -> None:
    """No gradient reaches the channel of the other convention."""
    logits = torch.zeros(2, 2, 8, 8, requires_grad=True)
    masks = torch.ones(2, 8, 8)
    lung_loss(logits, masks, torch.tensor([0, 1])).backward()
    assert logits.grad is not None
    taught = logits.grad.abs().sum(dim=(2, 3)) > 0
    assert taught.tolist() == [[True, False], [False, True]]


def test_a_perfect_mask_costs_almost_nothing() -> None:
    """A sure and right network has almost no loss."""
    masks = (torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    logits = torch.stack([masks, masks], 1) * 40 - 20
    assert lung_loss(logits, masks, torch.tensor([0, 1])).item() < 1e-3


def test_smoothing_pulls_towards_one_half() -> None:
    """Smoothing 0.1 makes 0.05 and 0.95."""
    assert torch.allclose(smooth(torch.tensor([0.0, 1.0]), 0.1), torch.tensor([0.05, 0.95]))
