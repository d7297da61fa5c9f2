"""Stages 2 and 3, the `lite` version: EfficientNet-Lite0 (Tan and Le 2019) with one logit.

Our own, because the cascade wants one input channel, guided ReLUs and finer last maps: the maps at
stride 32 are enlarged and joined with those at stride 16, as in a feature pyramid (Lin et al.
2017). At a frame of 256 the last maps are 16 x 16, not 8 x 8, for a tenth more operations.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.classifier import MAPS, ChestClassifier
from models.relu import SwitchedReLU6

#: Kernel, stride, expansion, output channels and number of blocks of each of the seven stages.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_STEM = 32
#: The first so many stages end at stride 16.
_FINE = 5
_EPSILON, _MOMENTUM = 1e-3, 0.05


class _Depthwise(nn.Conv2d):
    """A filter for each channel, in float32 where the rest learns in bfloat16 on a processor.

    oneDNN takes up to ten times as long for their gradients in bfloat16.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h / stride, w / stride)."""
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class _Block(nn.Module):
    """Inverted residual: widen, filter each channel, narrow; the input is added where it fits."""

    def __init__(self, inner: int, outer: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inner * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(inner, wide, 1, bias=False), _norm(wide), SwitchedReLU6()]
        layers += [
            _Depthwise(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            _norm(wide),
            SwitchedReLU6(),
            nn.Conv2d(wide, outer, 1, bias=False),
            _norm(outer),
        ]
        self.layers = nn.Sequential(*layers)
        self.added = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        """(B, inner, h, w) -> (B, outer, h / stride, w / stride)."""
        y = cast(Tensor, self.layers(x))
        return x + y if self.added else y


class ChestEfficientNet(ChestClassifier):
    """`ChestClassifier` on EfficientNet-Lite0."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, _STEM, 3, 2, 1, bias=False), _norm(_STEM), SwitchedReLU6()
        )
        widths = [_STEM, *(stage[3] for stage in _STAGES)]
        stages = [
            nn.Sequential(
                *(
                    _Block(outer if i else inner, outer, kernel, 1 if i else stride, expansion)
                    for i in range(count)
                )
            )
            for (inner, outer), (kernel, stride, expansion, _, count) in zip(
                pairwise(widths), _STAGES, strict=True
            )
        ]
        self.fine, self.coarse = nn.Sequential(*stages[:_FINE]), nn.Sequential(*stages[_FINE:])
        joined = widths[_FINE] + widths[-1]
        self.head = nn.Sequential(
            nn.Conv2d(joined, MAPS, 1, bias=False), _norm(MAPS), SwitchedReLU6()
        )

    def features(self, x: Tensor) -> Tensor:
        """Maps after the last ReLU: (B, 1024, S / 16, S / 16)."""
        return cast(Tensor, self.head(self.joined(x)))

    def joined(self, x: Tensor) -> Tensor:
        """Maps of both strides, the input of the last block: (B, 432, S / 16, S / 16)."""
        fine = self.fine(self.stem(x))
        coarse = functional.interpolate(
            self.coarse(fine), fine.shape[-2:], mode="bilinear", align_corners=False
        )
        return torch.cat([coarse, fine], dim=1)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON, momentum=_MOMENTUM)
