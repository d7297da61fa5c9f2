"""Read the weights that a run left, and fill networks with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from models import registry
from models.classifier import ChestClassifier
from models.manifest import Backbone

Network = TypeVar("Network", bound=nn.Module)


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict, or the running average of a checkpoint that holds one.

    Averages are found under "average" (the loop's ``checkpoint.pt``) or "ema". The file may hold
    tensors and plain values only.
    """
    content: dict[str, Tensor | dict[str, Tensor]]
    content = torch.load(path, weights_only=True, map_location="cpu")
    for name in ("average", "ema"):
        inner = content.get(name)
        if isinstance(inner, dict):
            return inner
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def started(network: Network, path: Path | None) -> Network:
    """Fill a network in place and return it; without a path it is returned as it is."""
    if path is not None:
        network.load_state_dict(read_state(path))
    return network


def frozen(network: Network, path: Path) -> Network:
    """Fill a network in place and return it for use as it is: in eval mode, without gradients."""
    started(network, path).eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def frozen_classifier(path: Path) -> ChestClassifier:
    """Load a trained classifier of whichever backbone its weights fit, for use as it is."""
    return frozen(registry.classifier(backbone_of(read_state(path))), path)


def backbone_of(state: Mapping[str, Tensor]) -> Backbone:
    """Name the backbone that weights of this project belong to."""
    return "efficientnet-lite0" if "stem.0.weight" in state else "densenet121"


def teachers(paths: Sequence[Path]) -> list[ChestClassifier]:
    """Load the frozen networks that eq. 2 distils from."""
    return [frozen_classifier(path) for path in paths]
