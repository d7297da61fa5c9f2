"""Published weights, of whichever of four kinds, become the first weights of a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.densenet import ChestDenseNet
from models.efficientnet import ChestEfficientNet
from train import starts


def _published(network: ChestDenseNet, channels: int, *, old: bool = False) -> dict[str, Tensor]:
    """The state dict that torchvision or torchxrayvision would ship for these very weights."""
    state = {}
    for name, value in network.state_dict().items():
        if name.startswith("body."):
            other = name.replace("body.", "features.").replace(".layers.", ".")
            if old:
                other = re.sub(r"(denselayer\d+)\.(norm|conv)([12])\.", r"\1.\2.\3.", other)
            state[other] = value.clone()
    first = state["features.conv0.weight"]
    state["features.conv0.weight"] = first.repeat(1, channels, 1, 1) / channels
    state["classifier.weight"] = torch.zeros(1000, 1024)
    return state


@pytest.mark.parametrize(
    ("channels", "old", "scale", "name"),
    [
        (3, False, 1.0, "torchvision"),
        (3, True, 1.0, "torchvision"),
        (1, False, 512.0, "torchxrayvision"),
    ],
)
def test_a_published_densenet_gives_its_maps(
    tmp_path: Path, channels: int, old: bool, scale: float, name: str
) -> None:
    """Every weight but the classifier's arrives, the first convolution folded to one channel."""
    torch.manual_seed(0)
    source, fresh = ChestDenseNet(), ChestDenseNet()
    torch.save(_published(source, channels, old=old), tmp_path / "published.pth")
    found = starts.start(fresh, tmp_path / "published.pth")
    assert found is not None
    assert found.name.startswith(name)
    assert re.fullmatch("[0-9a-f]{64}", found.sha256)
    for key, value in source.state_dict().items():
        if key.startswith("body."):
            wanted = value * scale if key == "body.conv0.weight" else value
            torch.testing.assert_close(fresh.state_dict()[key], wanted)


def _lite(maps: int = 1280) -> dict[str, Tensor]:
    """A state dict with the names and shapes of the PyPI package's file."""
    torch.manual_seed(1)
    state: dict[str, Tensor] = {}

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{part}"] = torch.rand(channels)

    state["_conv_stem.weight"] = torch.rand(32, 3, 3, 3)
    norm("_bn0", 32)
    blocks = [
        block
        for stage in (*ChestEfficientNet().fine, *ChestEfficientNet().coarse)
        for block in stage.children()
    ]
    for i, block in enumerate(blocks):
        convolutions = [m for m in block.modules() if isinstance(m, torch.nn.Conv2d)]
        names = ["_expand_conv", "_depthwise_conv", "_project_conv"][-len(convolutions) :]
        norms = ["_bn0", "_bn1", "_bn2"][-len(convolutions) :]
        for convolution, own, bn in zip(convolutions, names, norms, strict=True):
            state[f"_blocks.{i}.{own}.weight"] = torch.rand(convolution.weight.shape)
            norm(f"_blocks.{i}.{bn}", convolution.out_channels)
    state["_conv_head.weight"] = torch.rand(maps, 320, 1, 1)
    norm("_bn1", maps)
    state["_fc.weight"] = torch.rand(1000, maps)
    return state


def test_the_packages_efficientnet_gives_its_maps(tmp_path: Path) -> None:
    """All blocks, the stem folded, and the first 1024 of the head's maps."""
    state, network = _lite(), ChestEfficientNet()
    torch.save(state, tmp_path / "lite.pth")
    assert starts.start(network, tmp_path / "lite.pth") is not None
    own = network.state_dict()
    folded = state["_conv_stem.weight"].sum(dim=1, keepdim=True) * 0.5
    torch.testing.assert_close(own["stem.0.weight"], folded)
    torch.testing.assert_close(own["head.0.weight"][:, :320], state["_conv_head.weight"][:1024])
    torch.testing.assert_close(own["head.1.running_var"], state["_bn1.running_var"][:1024])
    last = state["_blocks.15._project_conv.weight"]
    torch.testing.assert_close(own["coarse.1.0.layers.6.weight"], last)
    with pytest.raises(ValueError, match="EfficientNet-Lite only"):
        starts.start(ChestDenseNet(), tmp_path / "lite.pth")


def test_a_network_of_this_project_is_taken_whole(tmp_path: Path) -> None:
    """And one of another backbone, or of nothing known, is refused."""
    torch.manual_seed(2)
    one, other = ChestEfficientNet(), ChestEfficientNet()
    torch.save(one.state_dict(), tmp_path / "own.pt")
    starts.start(other, tmp_path / "own.pt")
    torch.testing.assert_close(other.state_dict(), one.state_dict())
    assert starts.start(other, None) is None
    with pytest.raises(ValueError, match="no known network"):
        starts.start(ChestDenseNet(), tmp_path / "own.pt")
