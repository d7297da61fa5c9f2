"""Convolutions for reading: weights laid out for the processor once, activation on the way.

torch lays a convolution's weights out in each call, and runs the activation after it as a pass
over memory of its own. oneDNN, which torch brings along, can do without both. The answers are those
of the network that was packed, but for rounding.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.folding import steps_of
from models.relu import SwitchedReLU, SwitchedReLU6

#: An activation as oneDNN names it, and its parameters.
_Activation = tuple[str, list[float]]
NONE: _Activation = ("none", [])
RELU: _Activation = ("relu", [])


class Convolution:
    """A convolution and an activation in one call; no gradient flows through it.

    Parameters
    ----------
    weight
        (outer, inner / groups, h, w) float32.
    bias
        (outer,), or None.
    like
        A convolution with the same stride, padding, dilation and groups; None: 1, 0, 1, 1.
    activation
        What follows.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        like: nn.Conv2d | None = None,
        activation: _Activation = NONE,
    ) -> None:
        self._weight: Tensor | None = weight.detach()
        self._bias = None if bias is None else bias.detach()
        self._packed: Tensor | None = None
        self._activation = activation
        self._how: tuple[Any, ...] = ([0, 0], [1, 1], [1, 1], 1)
        if like is not None:
            padding, stride, dilation = (
                [int(each) for each in pair] for pair in (like.padding, like.stride, like.dilation)
            )
            self._how = (padding, stride, dilation, like.groups)

    def __call__(self, x: Tensor) -> Tensor:
        """(B, inner, h, w) -> (B, outer, h', w'), channels last."""
        if self._weight is not None:  # the best layout depends on the size of the films
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                self._weight.contiguous(), *self._how, list(x.shape)
            )
            self._weight = None
        name, parameters = self._activation
        return cast(
            Tensor,
            torch.ops.mkldnn._convolution_pointwise(
                x, self._packed, self._bias, *self._how, name, parameters, ""
            ),
        )


class _Packed(nn.Module):
    """A convolution with its activation, packed; with gradients, as it was."""

    def __init__(self, convolution: nn.Conv2d, activation: nn.Module | None) -> None:
        super().__init__()
        self.convolution, self.activation = convolution, activation or nn.Identity()
        self._packed = Convolution(
            convolution.weight, convolution.bias, convolution, _named(activation) or NONE
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and activate."""
        if torch.is_grad_enabled():
            return cast(Tensor, self.activation(self.convolution(x)))
        return self._packed(x)


def available() -> bool:
    """Whether this build of torch has oneDNN."""
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def pack(network: nn.Module) -> None:
    """Pack, in place, every convolution of a network, with the activation that follows it.

    The network must be in eval mode and folded (`models.folding`).
    """
    for parent in list(network.modules()):
        if isinstance(parent, nn.Sequential):
            _pack_pairs(parent)
    for parent in list(network.modules()):
        if not isinstance(parent, _Packed):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Conv2d):
                    setattr(parent, name, _Packed(child, None))


def _pack_pairs(parent: nn.Sequential) -> None:
    steps = [
        each for each in steps_of(parent)
        if not isinstance(getattr(*each), nn.Identity | nn.Dropout)
    ]  # fmt: skip
    for (holder, name), (other, after) in pairwise(steps):
        convolution, activation = getattr(holder, name), getattr(other, after)
        if isinstance(convolution, nn.Conv2d) and _named(activation):
            setattr(holder, name, _Packed(convolution, activation))
            setattr(other, after, nn.Identity())


def _named(activation: nn.Module | None) -> _Activation | None:
    match activation:
        case SwitchedReLU():
            return RELU
        case SwitchedReLU6():
            return "hardtanh", [0.0, 6.0]
        case nn.PReLU() if activation.num_parameters == 1:
            return "leaky_relu", [activation.weight.item()]
    return None
