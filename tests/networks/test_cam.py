"""Heatmaps against what a hand or autograd computes."""

from __future__ import annotations

import torch

from models import cam
from models.densenet import ChestDenseNet


def test_cam_of_two_channels_by_hand() -> None:
    """Weighted sum, positive part, 1 at the film's maximum."""
    features = torch.tensor([[[[1.0, 0.0], [2.0, 0.0]], [[0.0, 1.0], [0.0, 3.0]]]])  # (1, 2, 2, 2)
    heat = cam.class_activation_map(features, torch.tensor([2.0, -1.0]), size=2)
    torch.testing.assert_close(heat, torch.tensor([[[[0.5, 0.0], [1.0, 0.0]]]]))


def test_each_film_has_its_own_maximum() -> None:
    """A faint film beside a strong one is scaled by itself; one without evidence is zeros."""
    features = torch.stack([torch.full((1, 2, 2), v) for v in (8.0, 0.1, 0.0)])
    heat = cam.class_activation_map(features, torch.ones(1), size=4)
    assert heat.amax(dim=(1, 2, 3)).tolist() == [1.0, 1.0, 0.0]
    assert not cam.class_activation_map(features, -torch.ones(1), size=4).any()


def test_no_heat_where_the_network_saw_nothing() -> None:
    """Heat outside what was seen is cleared, and does not set the scale."""
    features = torch.tensor([[[[9.0, 1.0]]]]).expand(1, 1, 2, 2)
    seen = torch.tensor([[[[False, True], [False, True]]]])
    heat = cam.class_activation_map(features, torch.ones(1), size=2, seen=seen)
    torch.testing.assert_close(heat, seen.float())


def test_paper_eq1_reshapes_the_pooled_vector() -> None:
    """1024 numbers, row by row, become 32 x 32, then S x S from 0 to 1; a constant says nothing."""
    pooled = torch.arange(1024.0)[None]
    same = cam.paper_eq1(pooled, 32)
    torch.testing.assert_close(same[0, 0], (pooled / 1023).reshape(32, 32))
    large = cam.paper_eq1(pooled, 128)
    assert large.shape == (1, 1, 128, 128)
    assert (large.min().item(), large.max().item()) == (0, 1)
    assert not cam.paper_eq1(torch.ones(1, 1024), 64).any()


def test_closed_form_grad_cam_is_autograds(densenet: ChestDenseNet) -> None:
    """The textbook: gradients pooled, maps weighed by them, positive part, over its maximum."""
    torch.manual_seed(3)
    features = densenet.features(torch.randn(2, 1, 96, 96)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(densenet.classify(features).sum(), features)
    alpha = gradient.mean(dim=(2, 3), keepdim=True)
    textbook = (alpha * features).sum(dim=1, keepdim=True).clamp(min=0)
    textbook = torch.nn.functional.interpolate(textbook, (96, 96), mode="bilinear")
    textbook = textbook / textbook.amax(dim=(2, 3), keepdim=True)
    closed = cam.grad_cam(features, densenet.class_weight, 96)
    assert closed.amax() == 1
    torch.testing.assert_close(closed, textbook, atol=1e-5, rtol=1e-4)


def test_guided_grad_cam_is_fine_where_h3_is_warm() -> None:
    """Positive gradient times H3, in [0, 1]; negative gradients and cold places are 0."""
    torch.manual_seed(0)
    gradient, h3 = torch.randn(2, 1, 64, 64), torch.zeros(2, 1, 64, 64)
    h3[0, :, 16:32] = 0.5
    guided = cam.guided_grad_cam(gradient, h3)
    assert guided.max() == 1
    assert not guided[gradient <= 0].any()
    assert not guided[h3 == 0].any()
    assert not guided[1].any()


def test_one_pixel_does_not_rule_guided_grad_cam() -> None:
    """An outlier a thousand times the rest is clipped; the rest keeps its contrast."""
    torch.manual_seed(0)
    gradient = torch.rand(1, 1, 64, 64)
    gradient[..., 5, 5] = 1000.0
    assert cam.guided_grad_cam(gradient, torch.ones_like(gradient)).median() > 0.4
