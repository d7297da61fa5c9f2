"""Weights from wherever a run left them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from models.densenet import ChestDenseNet

Network = TypeVar("Network", bound=nn.Module)


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict, or the running average of a checkpoint that holds one.

    Averages are found under "average" (the loop's ``checkpoint.pt``) or "ema".
    """
    content: dict[str, Tensor | dict[str, Tensor]]
    content = torch.load(path, weights_only=True, map_location="cpu")
    for name in ("average", "ema"):
        inner = content.get(name)
        if isinstance(inner, dict):
            return inner
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def started(network: Network, path: Path | None) -> Network:
    """Fill a network, where there is something to start from."""
    if path is not None:
        network.load_state_dict(read_state(path))
    return network


def frozen(network: Network, path: Path) -> Network:
    """Fill a network for use as it is."""
    started(network, path).eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def frozen_classifier(path: Path) -> ChestDenseNet:
    """Load a trained DenseNet, for use as it is."""
    return frozen(ChestDenseNet(), path)
