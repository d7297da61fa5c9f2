"""The gate's network: what kind of picture this is, and how far it is from the films learned from.

A small network looks at every picture before a chest network does; the distance is measured in
stage 2's features, after it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import preprocess
from models.reading import GateLimits, Look

#: What a picture can be. "part": a section of a chest film that does not hold all of the lungs.
KINDS = ("frontal", "lateral", "part", "other")
#: Degrees a frontal film was turned by, anticlockwise.
TURNS = (0, 90, 180, 270)
#: Side of the square the network sees, pixels.
SIZE = 128
#: A picture is thinned out to about this short side before it is scaled down, for speed.
_THINNED = 512
_SHRINKAGE = 0.1  # of each feature's variance towards the mean of all
_CHANNELS = (1, 16, 32, 64, 96, 128)


class GateNet(nn.Module):
    """(B, 1, `SIZE`, `SIZE`) in [0, 1] -> logits (B, 9): `KINDS`, then `TURNS`, then inverted.

    Its buffers hold centre and scale of stage 2's pooled features, (1024,) each, on films that
    stage 2 learned from, see `fit_distance`.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inner, outer in pairwise(_CHANNELS):
            layers += [
                nn.Conv2d(inner, outer, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outer),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers)
        side = SIZE >> (len(_CHANNELS) - 1)
        self.out = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(_CHANNELS[-1] * side**2, _OUTPUTS)
        )
        self.register_buffer("centre", torch.zeros(1024))
        self.register_buffer("scale", torch.ones(1024))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 9)."""
        return cast(Tensor, self.out(self.body(x)))


_OUTPUTS = len(KINDS) + len(TURNS) + 1


def parts(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (B, 9) -> those of the kinds (B, 4), of the turns (B, 4), of being inverted (B,)."""
    turns = len(KINDS)
    return logits[:, :turns], logits[:, turns:-1], logits[:, -1]


def to_gate(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Film (H, W) in [0, 1] -> what the network sees, (`SIZE`, `SIZE`), contrast stretched."""
    step = max(1, min(image.shape) // _THINNED)
    return preprocess.to_network(image[::step, ::step], SIZE)[0]


def fit_distance(features: Tensor) -> tuple[Tensor, Tensor]:
    """Fit the distance of `Gate` to familiar films.

    Each variance is shrunk towards the mean of all, so that a feature that hardly ever changed does
    not decide alone.

    Parameters
    ----------
    features
        Stage 2's pooled features of N >= 2 films: (N, 1024).

    Returns
    -------
    centre : Tensor
        Mean of each feature: (1024,).
    scale : Tensor
        One over each feature's shrunk standard deviation: (1024,).
    """
    variance = features.var(dim=0)
    shrunk = (1.0 - _SHRINKAGE) * variance + _SHRINKAGE * variance.mean()
    return features.mean(dim=0), shrunk.clamp(min=1e-6).rsqrt()


class Gate:
    """A trained `GateNet` with its limits."""

    def __init__(self, network: GateNet, limits: GateLimits) -> None:
        self.network = network.eval().requires_grad_(False)
        self.limits = limits

    @torch.inference_mode()
    def look(self, image: NDArray[np.float32]) -> Look:
        """Look at one film, (H, W) float32 in [0, 1], 1 white."""
        x = torch.from_numpy(to_gate(image))[None, None]
        kinds, turns, inverted = parts(self.network(x))
        return Look(
            kinds=dict(zip(KINDS, kinds[0].softmax(0).tolist(), strict=True)),
            turns=dict(zip(TURNS, turns[0].softmax(0).tolist(), strict=True)),
            inverted=inverted.sigmoid().item(),
            limits=self.limits,
        )

    def distance(self, features: Tensor) -> float:
        """How far a film's pooled features (1024,) lie from those of the films learned from.

        The Mahalanobis distance with a diagonal covariance, over the root of the number of
        features: >= 0, about 1 for the films learned from.
        """
        away = (features - self.network.centre) * self.network.scale
        return away.square().mean().sqrt().item()
