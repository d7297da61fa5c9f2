"""Stages 2 and 3: DenseNet-121 (Huang et al. 2017) with one logit, ready to be explained."""

from __future__ import annotations

from typing import Any, cast

import torch
from monai.networks.nets.densenet import DenseNet121
from torch import Tensor, nn
from torch.nn import functional


class _GuidedReLU(torch.autograd.Function):
    """ReLU whose gradient passes only where input and gradient are positive (Springenberg 2015)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = functional.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return cast(Tensor, gradients[0].clamp(min=0.0) * (y > 0))


class SwitchedReLU(nn.Module):
    """ReLU that can guide its gradient; the forward pass is the same either way.

    A module and never in place, so that no hook is needed and no map is overwritten behind the
    reader's back.
    """

    guided: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Apply max(x, 0)."""
        if self.guided:
            return cast(Tensor, _GuidedReLU.apply(x))  # type: ignore[no-untyped-call]
        return functional.relu(x)


class ChestDenseNet(nn.Module):
    """(B, 1, S, S) -> logits (B,); at S = 512 the last maps are (B, 1024, 16, 16).

    Class activation maps read `features`: the maps *after* the last ReLU, which global average
    pooling and `class_weight` turn into the logit. On the tensor before that ReLU Grad-CAM would
    be another map.
    """

    def __init__(self) -> None:
        super().__init__()
        net = DenseNet121(spatial_dims=2, in_channels=1, out_channels=1)
        self.body = net.features
        self.relu = nn.ReLU()
        self.out = nn.Linear(1024, 1)
        nn.init.zeros_(self.out.bias)
        _switch_relus(self)

    def features(self, x: Tensor) -> Tensor:
        """Maps after the last ReLU: (B, 1024, S / 32, S / 32)."""
        return cast(Tensor, self.relu(self.body(x)))

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
        for module in self.modules():
            if isinstance(module, SwitchedReLU):
                module.guided = guided


def _switch_relus(network: nn.Module) -> None:
    """Replace every ReLU by `SwitchedReLU`."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(parent, name, SwitchedReLU())
