"""A classifier cut in two: maps that stay as they are, and the last block and layer that learn.

The last block of EfficientNet-Lite0 is a convolution of 1 x 1, which sees each place of the maps
alone. So a film is a set of places, and some of them can represent it. Of DenseNet-121 only the
last layer learns.
"""

from __future__ import annotations

import copy
import hashlib
from typing import cast

import torch
from torch import Tensor, nn

from models.classifier import ChestClassifier
from models.efficientnet import ChestEfficientNet


@torch.inference_mode()
def places(network: ChestClassifier, x: Tensor) -> Tensor:
    """What stands before the tail of a classifier.

    Parameters
    ----------
    network
        In eval mode.
    x
        Masked films, (B, 1, S, S).

    Returns
    -------
    Tensor
        (B, (S / 16)², C) without gradient; C is 432 of EfficientNet-Lite0, 1024 of DenseNet-121.
    """
    before = network.joined if isinstance(network, ChestEfficientNet) else network.features
    return before(x).flatten(2).transpose(1, 2)


def front_digest(network: ChestClassifier) -> str:
    """SHA-256 of the weights that stay as they are, hex."""
    learns = _names(network)
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        if not name.startswith(learns):
            digest.update(name.encode() + value.half().cpu().numpy().tobytes())
    return digest.hexdigest()


def _names(network: ChestClassifier) -> tuple[str, ...]:
    """Where the names of the weights that learn begin."""
    return ("head.", "out.") if isinstance(network, ChestEfficientNet) else ("out.",)


class Tail(nn.Module):
    """Places (B, P, C) -> logits (B,). Batch norm keeps its averages."""

    def __init__(self, network: ChestClassifier) -> None:
        super().__init__()
        whole: nn.Module = nn.Identity()
        if isinstance(network, ChestEfficientNet):
            whole = network.head
        self.head = copy.deepcopy(whole)
        self.out = copy.deepcopy(network.out)
        self.requires_grad_(True)

    def train(self, mode: bool = True) -> Tail:
        """Stay in eval mode: batch norm's averages are those of many more films."""
        return super().train(False)

    def pooled(self, seen: Tensor) -> Tensor:
        """Mean of the last maps: (B, P, C) -> (B, 1024)."""
        maps = cast(Tensor, self.head(seen.transpose(1, 2).unsqueeze(3)))
        return maps.mean(dim=(2, 3))

    def forward(self, seen: Tensor) -> Tensor:
        """Logits (B,)."""
        return cast(Tensor, self.out(self.pooled(seen)).squeeze(1))

    @torch.inference_mode()
    def all(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N,) and pooled features (N, 1024) of many films, float32."""
        features = torch.cat([self.pooled(part.float()) for part in torch.split(seen, 16)])
        return cast(Tensor, self.out(features).squeeze(1)), features

    def into(self, network: ChestClassifier) -> ChestClassifier:
        """Return a copy of a network of the same backbone with these last weights."""
        learned = {
            name: value for name, value in self.state_dict().items()
            if name.startswith(_names(network))
        }  # fmt: skip
        whole = copy.deepcopy(network)
        whole.load_state_dict(network.state_dict() | learned)
        return whole
