"""ReLUs whose gradient can be guided (Springenberg et al. 2015); their forward is the same.

Modules and never in place, so that no hook is needed and no map is overwritten.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Guided(torch.autograd.Function):
    """The gradient passes only where it and the slope of the forward are positive."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ceiling: float) -> Tensor:
        y = x.clamp(0.0, ceiling)
        ctx.save_for_backward((x > 0) & (x < ceiling))
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (passed,) = ctx.saved_tensors
        return gradients[0].clamp(min=0.0) * passed, None


class SwitchedReLU(nn.Module):
    """max(x, 0); with ``guided``, its gradient is guided."""

    guided: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Apply max(x, 0)."""
        if self.guided:
            return cast(Tensor, _Guided.apply(x, float("inf")))  # type: ignore[no-untyped-call]
        return functional.relu(x)


class SwitchedReLU6(nn.Module):
    """min(max(x, 0), 6), as EfficientNet-Lite has it; with ``guided``, its gradient is guided."""

    guided: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Apply min(max(x, 0), 6)."""
        if self.guided:
            return cast(Tensor, _Guided.apply(x, 6.0))  # type: ignore[no-untyped-call]
        return functional.relu6(x)


def guide(network: nn.Module, guided: bool) -> None:
    """Switch guided backpropagation on or off in every ReLU of a network."""
    for module in network.modules():
        if isinstance(module, SwitchedReLU | SwitchedReLU6):
            module.guided = guided
