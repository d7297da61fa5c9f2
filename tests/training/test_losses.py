"""The losses against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from train.stages.losses import distillation, heat_losses, incremental_loss, lung_loss, smooth


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
    loss = incremental_loss(z, y, previous=torch.ones(2), original=torch.ones(2), lam=0.0)
    assert loss.item() == pytest.approx(plain.item())


def test_agreeing_with_the_previous_network_costs_nothing() -> None:
    """Distillation is 0 where both networks agree and positive elsewhere, even far out."""
    z = torch.tensor([-200.0, -1.0, 0.0, 3.0, 200.0])
    assert torch.allclose(distillation(z, z), torch.zeros(5), atol=1e-6)
    assert (distillation(z, z.flip(0) + 0.5) > 0).all()


def test_a_mask_teaches_only_its_own_convention() -> None:
    """A field says nothing of the aerated lung; an aerated lung says where the field surely is.

    Between two lungs the field may go on, behind the heart: there no gradient reaches it.
    """
    logits = torch.zeros(2, 2, 32, 32, requires_grad=True)
    masks = torch.zeros(2, 32, 32)
    masks[:, 8:24, 8:12] = masks[:, 8:24, 20:24] = 1
    lung_loss(logits, masks, torch.tensor([0, 1])).backward()
    assert logits.grad is not None
    taught = logits.grad.abs() > 0
    assert not taught[1, 0].any()
    assert taught[0, 0].all()
    assert taught[1, 1].all()
    assert taught[0, 1, 8:24, 8:12].all()
    assert not taught[0, 1, 8:24, 12:20].any()
    assert taught[0, 1, 0, 0]


def test_evidence_costs_least_where_the_infection_is() -> None:
    """Outside the lungs it costs most; a film without a drawn infection pays for that alone."""
    field, infection = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    field[..., :8], infection[..., :4, :4] = 1, 1
    ill, nothing = torch.ones(1), torch.zeros_like(infection)
    evidence = {name: torch.full((1, 16, 16), -1.0) for name in ("infection", "lungs", "beside")}
    evidence["infection"][0, :4, :4] = evidence["lungs"][0, 8:12, :4] = 1
    evidence["beside"][0, :4, 12:] = 1
    costs = {name: heat_losses(one, field, infection, ill) for name, one in evidence.items()}
    assert costs["infection"][0] < 1e-3
    assert costs["infection"][1] < 1e-3
    assert costs["lungs"][0] < 1e-3 < 1 < costs["lungs"][1]
    assert costs["beside"][0] > 1
    assert heat_losses(evidence["lungs"], field, nothing, ill)[1] == 0
    assert heat_losses(evidence["beside"], field, nothing, 1 - ill)[0] == 0


def test_a_perfect_mask_costs_almost_nothing() -> None:
    """A sure and right network has almost no loss."""
    masks = (torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    logits = torch.stack([masks, masks], 1) * 40 - 20
    assert lung_loss(logits, masks, torch.tensor([0, 1])).item() < 1e-3


def test_smoothing_pulls_towards_one_half() -> None:
    """Smoothing 0.1 makes 0.05 and 0.95."""
    assert torch.allclose(smooth(torch.tensor([0.0, 1.0]), 0.1), torch.tensor([0.05, 0.95]))
