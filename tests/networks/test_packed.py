"""Networks rebuilt for reading answer as the trained ones do."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import registry
from models.classifier import ChestClassifier
from models.dense_reading import packed_classifier
from models.folding import fold
from models.packed import pack
from models.unet import LungUNet


def _apart(after: Tensor, before: Tensor) -> float:
    return float((after - before).norm() / before.norm())


def test_a_packed_backbone_answers_the_same(backbone: ChestClassifier) -> None:
    """Maps and guided gradients of one film and of two, norms of any sign, one of them silent."""
    trained = copy.deepcopy(backbone)
    torch.manual_seed(0)
    for module in trained.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.weight.copy_(torch.randn_like(module.weight))
                module.bias.copy_(torch.randn_like(module.bias))
                module.weight[0] = 0.0
    rebuilt = copy.deepcopy(trained)
    fold(rebuilt)
    rebuilt = packed_classifier(rebuilt)
    for films in (torch.randn(1, 1, 64, 64), torch.randn(2, 1, 96, 64)):
        with torch.inference_mode():
            maps = rebuilt.features(films)
            assert _apart(maps, trained.features(films)) < 1e-4
        features, gradient = rebuilt.guided(films)
        assert _apart(features, maps) < 1e-4
        _, before = trained.guided(films)
        assert _apart(gradient(), before()) < 1e-3


def test_packed_lungs_answer_the_same() -> None:
    """Each PReLU goes into its convolution, with the slope that was learned."""
    torch.manual_seed(0)
    network = LungUNet()
    for module in network.modules():
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, 0.0, 0.5)
    with torch.no_grad():
        network.train()(torch.randn(2, 1, 64, 64))
    packed = copy.deepcopy(network.eval())
    fold(packed)
    pack(packed)
    x = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(packed(x), network(x), rtol=1e-4, atol=1e-4)


def test_a_cascade_for_reading_answers_the_same(directory: Path, film: NDArray[np.float32]) -> None:
    """Probabilities within 1e-4, Guided Grad-CAM within a thousandth."""
    before = registry.load(directory).read(film, force_stage3=True)
    after = registry.load(directory, folded=True).read(film, force_stage3=True)
    assert before.covid19 is not None
    assert after.covid19 is not None
    assert abs(after.pneumonia.probability - before.pneumonia.probability) < 1e-4
    assert abs(after.covid19.probability - before.covid19.probability) < 1e-4
    assert before.guided is not None
    assert after.guided is not None
    apart = np.linalg.norm(after.guided - before.guided)
    assert apart <= 1e-3 * np.linalg.norm(before.guided)
