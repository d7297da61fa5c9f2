"""ReLUs whose gradient can be guided (Springenberg et al. 2015); their forward is the same.

Modules and never in place, so that no hook is needed and no map is overwritten.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Guided(torch.autograd.Function):
    """max(x, 0): the gradient passes only where it and the forward's slope are positive."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = functional.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        passed = torch.ops.aten.threshold_backward(gradients[0].clamp(min=0.0), y, 0)
        return cast(Tensor, passed)


class _Guided6(torch.autograd.Function):
    """min(max(x, 0), 6), likewise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = functional.relu6(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        passed = torch.ops.aten.hardtanh_backward(gradients[0].clamp(min=0.0), y, 0, 6)
        return cast(Tensor, passed)


class SwitchedReLU(nn.Module):
    """max(x, 0); with ``guided``, its gradient is guided."""

    guided: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Apply max(x, 0)."""
        if self.guided:
            return cast(Tensor, _Guided.apply(x))  # type: ignore[no-untyped-call]
        return functional.relu(x)


class SwitchedReLU6(nn.Module):
    """min(max(x, 0), 6), as EfficientNet-Lite has it; with ``guided``, its gradient is guided."""

    guided: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Apply min(max(x, 0), 6)."""
        if self.guided:
            return cast(Tensor, _Guided6.apply(x))  # type: ignore[no-untyped-call]
        return functional.relu6(x)


def guide(network: nn.Module, guided: bool) -> None:
    """Switch guided backpropagation on or off in every ReLU of a network."""
    for module in network.modules():
        if isinstance(module, SwitchedReLU | SwitchedReLU6):
            module.guided = guided
