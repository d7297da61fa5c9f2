"""Folded batch norms change the speed and not the answers."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from support.fake_networks import write_models
from torch import Tensor, nn

from models import registry, steps
from models.classifier import ChestClassifier
from models.folding import fold
from models.unet import LungUNet


def _norms(network: nn.Module) -> int:
    return sum(isinstance(each, nn.BatchNorm2d) for each in network.modules())


def _guided(network: ChestClassifier, x: Tensor) -> tuple[Tensor, Tensor]:
    everywhere = torch.ones_like(x)
    logits, _, gradient = steps.guided_stage3(network, x, everywhere, everywhere)
    return logits.detach(), gradient()


def test_a_folded_backbone_answers_the_same(backbone: ChestClassifier) -> None:
    """Logit and guided gradient; half of the norms or more are gone."""
    folded = copy.deepcopy(backbone)
    fold(folded)
    assert _norms(folded) <= _norms(backbone) / 1.9
    x = torch.randn(1, 1, 64, 64)
    for before, after in zip(_guided(backbone, x), _guided(folded, x), strict=True):
        assert float((before - after).norm() / before.norm()) < 1e-3


def test_folded_lungs_answer_the_same() -> None:
    """Convolutions of both directions, each followed by a norm in a sequence of its own."""
    torch.manual_seed(0)
    network = LungUNet()
    with torch.no_grad():
        network.train()(torch.randn(2, 1, 64, 64))
    folded = copy.deepcopy(network.eval())
    fold(folded)
    assert _norms(folded) == 0
    x = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), folded(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("folded", [True, False])
def test_networks_are_folded_on_request_only(tmp_path: Path, folded: bool) -> None:
    """What is trained or exported again must keep its norms."""
    cascade = registry.load(write_models(tmp_path), folded=folded)
    assert bool(_norms(cascade.pneumonia)) is not folded
