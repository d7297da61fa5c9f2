"""Stages 2 and 3: shapes, the logit's parts, and guided backpropagation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.classifier import ChestClassifier
from models.efficientnet import ChestEfficientNet


@pytest.mark.parametrize(
    ("shape", "maps"),
    [((1, 1, 64, 64), (1, 1024, 4, 4)), ((2, 1, 96, 64), (2, 1024, 6, 4))],
)
def test_one_logit_a_film(
    backbone: ChestClassifier, shape: tuple[int, ...], maps: tuple[int, ...]
) -> None:
    """(B, 1, H, W) -> 1024 maps of H / 16 x W / 16, none negative -> (B,)."""
    with torch.inference_mode():
        features = backbone.features(torch.randn(shape))
        assert features.shape == maps
        assert features.min() >= 0
        assert backbone.classify(features).shape == (shape[0],)


def test_the_logit_is_what_the_maps_add_up_to(backbone: ChestClassifier) -> None:
    """CAM's premise: weight times mean map, plus the bias, is the logit."""
    x = torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        pooled = backbone.features(x).mean(dim=(2, 3))
        expected = pooled @ backbone.class_weight + backbone.out.bias
        torch.testing.assert_close(backbone(x), expected)


def test_no_relu_is_left_unswitched(backbone: ChestClassifier) -> None:
    """Every ReLU can be guided, the last one included."""
    assert not [m for m in backbone.modules() if isinstance(m, nn.ReLU | nn.ReLU6)]


def test_guidance_changes_the_gradient_and_not_the_forward(backbone: ChestClassifier) -> None:
    """Guided backpropagation answers the same logit with another gradient."""
    x = torch.randn(1, 1, 64, 64)
    film = x.clone().requires_grad_()
    plain = backbone.features(film)
    (plain_gradient,) = torch.autograd.grad(backbone.classify(plain).sum(), film)
    features, gradient = backbone.guided(x)
    torch.testing.assert_close(plain.detach(), features, rtol=0, atol=0)
    guided_gradient = gradient()
    assert guided_gradient.abs().sum() > 0
    assert not torch.allclose(plain_gradient, guided_gradient)


def test_filters_of_a_channel_stay_in_float32_where_the_rest_learns_in_bfloat16() -> None:
    """Their gradients in bfloat16 are slower than in float32, and no better."""
    seen: dict[bool, set[torch.dtype]] = {True: set(), False: set()}

    def note(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen[isinstance(layer, nn.Conv2d) and layer.groups > 1].add(output.dtype)

    network = ChestEfficientNet()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(torch.randn(1, 1, 64, 64))
    assert seen == {True: {torch.float32}, False: {torch.bfloat16}}
