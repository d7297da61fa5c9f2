"""What stages 2 and 3 ask of a backbone: maps that pooling and one layer turn into a logit."""

from __future__ import annotations

from typing import cast

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

    def guide(self, guided: bool) -> None:
        """Switch guided backpropagation on or off in every ReLU."""
        guide(self, guided)
