"""What stages 2 and 3 ask of a backbone: maps that pooling and one layer turn into a logit."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from models.relu import guide

#: Last maps of every backbone, so that eq. 1 (32 x 32) and the gate's distance fit all of them.
MAPS = 1024


class ChestClassifier(nn.Module):
    """(B, 1, S, S) -> logits (B,); the last maps are (B, 1024, S / 16, S / 16).

    Class activation maps read `features`: the maps *after* the last ReLU, which global average
    pooling and `class_weight` turn into the logit. On the tensor before that ReLU Grad-CAM would
    be another map.
    """

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(MAPS, 1)
        nn.init.zeros_(self.out.bias)

    def features(self, x: Tensor) -> Tensor:
        """Maps after the last ReLU: (B, 1024, S / 16, S / 16)."""
        raise NotImplementedError

    def classify(self, features: Tensor) -> Tensor:
        """Global average pooling and the last layer: (B, 1024, h, w) -> logits (B,)."""
        return cast(Tensor, self.out(features.mean(dim=(2, 3))).squeeze(1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,)."""
        return self.classify(self.features(x))

    @property
    def class_weight(self) -> Tensor:
        """What each of the 1024 maps adds to the logit: (1024,)."""
        return self.out.weight[0]

    def guided(self, x: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
        """Maps of `features`, and a function that computes the guided gradient; it is called once.

        Guided backpropagation (Springenberg et al. 2015) of each film's logit to the film: the
        function returns (B, 1, S, S).
        """
        # A clone outside inference mode is a tensor that autograd may use.
        with torch.inference_mode(mode=False), torch.enable_grad():
            film = x.clone().requires_grad_()
            guide(self, True)
            try:
                features = self.features(film)
            finally:
                guide(self, False)
            logits = self.classify(features)

        def gradient() -> Tensor:
            (found,) = torch.autograd.grad(logits.sum(), film)
            return found

        return features.detach(), gradient
