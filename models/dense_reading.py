"""DenseNet-121 for reading: the answers of `models.densenet`, nearer to the processor's limit.

A dense block's maps lie in one buffer, where each layer adds its own; nothing is concatenated. Of
norm, ReLU and 1 x 1 convolution, norm and ReLU become one pass: where a channel's scale s is not 0,

    relu(s x + t) = s clamp(x) + t, with x clamped at -t / s: from below if s > 0, else from above,

and s and t go into the convolution. Guided backpropagation is written out: transposed convolutions,
whose activation is the ReLU that guides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.classifier import ChestClassifier
from models.densenet import ChestDenseNet
from models.packed import NONE, RELU, Convolution, pack

#: A gradient at the output of a part -> the one at its input.
_Back = Callable[[Tensor], Tensor]


class ReadingDenseNet(ChestClassifier):
    """A trained `ChestDenseNet`, folded (`models.folding`); it cannot be trained.

    Parameters
    ----------
    trained
        In eval mode.
    """

    def __init__(self, trained: ChestDenseNet) -> None:
        super().__init__()
        self.out = trained.out
        children = dict(trained.body.named_children())
        stem = cast(nn.Conv2d, children["conv0"])
        self._stem_weight = stem.weight.detach()
        self._stem = Convolution(stem.weight, stem.bias, stem, RELU)
        self._parts = [
            _Block(child) if name.startswith("denseblock") else _Transition(child)
            for name, child in children.items()
            if name.startswith(("denseblock", "transition"))
        ]
        self._scale, self._shift = _affine(children["norm5"])

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Maps after the last ReLU: (B, 1024, S / 16, S / 16)."""
        maps = functional.max_pool2d(self._stem(x), 3, 2, 1)
        for part in self._parts:
            maps = part(maps, None)
        return torch.addcmul(self._shift, maps, self._scale).clamp_(min=0.0)

    @torch.no_grad()
    def guided(self, x: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
        """See `ChestClassifier.guided`."""
        stem = self._stem(x)
        maps, places = functional.max_pool2d(stem, 3, 2, 1, return_indices=True)
        way: list[_Back] = []
        for part in self._parts:
            maps = part(maps, way)
        features = torch.addcmul(self._shift, maps, self._scale).clamp_(min=0.0)

        @torch.no_grad()
        def gradient() -> Tensor:
            share = self.class_weight.clamp(min=0.0) / (features.shape[2] * features.shape[3])
            back = torch.where(features > 0, share[:, None, None] * self._scale, 0.0)
            while way:
                back = way.pop()(back)  # what it kept is freed
            back = torch.ops.aten.max_pool2d_with_indices_backward(
                back, stem, [3, 3], [2, 2], [1, 1], [1, 1], False, places
            )
            back = _passed(back.clamp_(min=0.0), stem)
            return functional.conv_transpose2d(
                back, self._stem_weight, stride=2, padding=3, output_padding=1
            )

        return features, gradient


def packed_classifier(network: ChestClassifier) -> ChestClassifier:
    """The network of stage 2 or 3 in its fastest form; it must be folded and in eval mode."""
    if isinstance(network, ChestDenseNet):
        return ReadingDenseNet(network)
    pack(network)
    return network


class _Activated:
    """Norm, ReLU and 1 x 1 convolution, with a ReLU after it or without."""

    def __init__(
        self, norm: nn.Module, convolution: nn.Module, *, relu: bool, share: float = 1.0
    ) -> None:
        self.scale, shift = _affine(norm)
        zero = torch.where(self.scale == 0, 0.0, -shift / self.scale)
        self._low = torch.where(self.scale < 0, -torch.inf, zero)
        high = torch.where(self.scale > 0, torch.inf, zero)
        self._high = None if bool((high == torch.inf).all()) else high  # nearly always
        # Less than the shift by more than rounding: where the ReLU is 0, no gradient passes.
        self._least = shift - 1e-6 * shift.abs()
        trained = cast(nn.Conv2d, convolution)
        weight = trained.weight.detach()
        constant = torch.where(self.scale == 0, shift.clamp(min=0.0), shift)
        bias = weight[:, :, 0, 0].double() @ constant.flatten().double()
        if trained.bias is not None:
            bias = bias + trained.bias.detach()
        self.forth = Convolution(
            weight * self.scale, bias.float(), activation=RELU if relu else NONE
        )
        self._back = Convolution(share * weight.transpose(0, 1), None, activation=RELU)

    def clamped(self, x: Tensor) -> Tensor:
        """What `forth` expects of maps x."""
        if self._high is None:
            return torch.maximum(x, self._low)
        return torch.clamp(x, self._low, self._high)

    def back(self, gradient: Tensor, clamped: Tensor) -> Tensor:
        """The guided gradient at the norm's output: (B, outer, h, w) -> (B, inner, h, w)."""
        inner = self._back(gradient.contiguous(memory_format=torch.channels_last))
        if inner.shape != clamped.shape:
            size = (clamped.shape[2], clamped.shape[3])
            inner = functional.interpolate(inner, size, mode="nearest")
        return _passed(inner, torch.addcmul(self._least, clamped, self.scale))


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer of a dense block; the maps of its second convolution are added to the block's."""

    first: _Activated
    second: Convolution
    second_back: Convolution


class _Block:
    """A dense block: (B, inner, h, w) -> (B, outer, h, w)."""

    def __init__(self, block: nn.Module) -> None:
        self._layers = [_layer(each) for each in block.children()]
        self._inner = self._layers[0].first.scale.shape[1]
        self._growth = self._layers[1].first.scale.shape[1] - self._inner
        self._outer = self._inner + self._growth * len(self._layers)

    def __call__(self, x: Tensor, way: list[_Back] | None) -> Tensor:
        maps = torch.empty((len(x), self._outer, *x.shape[2:]), memory_format=torch.channels_last)
        maps[:, : self._inner] = x
        kept: list[tuple[Tensor, Tensor]] = []
        known = self._inner
        for layer in self._layers:
            clamped = layer.first.clamped(maps[:, :known])
            narrow = layer.first.forth(clamped)
            maps[:, known : known + self._growth] = layer.second(narrow)
            known += self._growth
            if way is not None:
                kept.append((clamped, narrow))
        if way is not None:
            way.append(lambda gradient: self._back(gradient, kept))
        return maps

    def _back(self, gradient: Tensor, kept: list[tuple[Tensor, Tensor]]) -> Tensor:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        known = self._outer
        for layer in reversed(self._layers):
            clamped, narrow = kept.pop()
            own = gradient[:, known - self._growth : known]
            known -= self._growth
            inner = layer.second_back(own.contiguous(memory_format=torch.channels_last))
            inner = layer.first.back(_passed(inner, narrow), clamped)
            gradient[:, :known].addcmul_(inner, layer.first.scale)
        return gradient[:, : self._inner]


class _Transition:
    """Norm, ReLU, 1 x 1 convolution and pooling; the pooling comes first, which is the same."""

    def __init__(self, transition: nn.Module) -> None:
        pool = transition.get_submodule("pool")
        self._side = int(cast(int, pool.kernel_size)) if isinstance(pool, nn.AvgPool2d) else 1
        self._layer = _Activated(
            transition.get_submodule("norm"), transition.get_submodule("conv"),
            relu=False, share=1.0 / self._side**2,
        )  # fmt: skip

    def __call__(self, x: Tensor, way: list[_Back] | None) -> Tensor:
        clamped = self._layer.clamped(x)
        if way is not None:
            way.append(lambda gradient: self._layer.back(gradient, clamped).mul_(self._layer.scale))
        pooled = functional.avg_pool2d(clamped, self._side) if self._side > 1 else clamped
        return self._layer.forth(pooled)


def _layer(dense: nn.Module) -> _Layer:
    layers = dense.get_submodule("layers")
    second = cast(nn.Conv2d, layers.get_submodule("conv2"))
    weight = second.weight.detach()
    return _Layer(
        first=_Activated(layers.get_submodule("norm1"), layers.get_submodule("conv1"), relu=True),
        second=Convolution(weight, second.bias, second),
        second_back=Convolution(weight.flip(2, 3).transpose(0, 1), None, second, RELU),
    )


def _passed(gradient: Tensor, output: Tensor) -> Tensor:
    """The gradient where the output of a ReLU is positive, else 0."""
    return cast(Tensor, torch.ops.aten.threshold_backward(gradient, output, 0))


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Scale and shift of each channel, (1, C, 1, 1): what a norm does in eval mode."""
    parts = cast(nn.BatchNorm2d, norm)
    mean, variance = cast(Tensor, parts.running_mean), cast(Tensor, parts.running_var)
    scale = parts.weight.detach() * (variance + parts.eps).rsqrt()
    shift = parts.bias.detach() - mean * scale
    return scale[None, :, None, None], shift[None, :, None, None]
