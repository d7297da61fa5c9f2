"""Stages 2 and 3, the `paper` version: DenseNet-121 (Huang et al. 2017) with one logit."""

from __future__ import annotations

from typing import cast

from monai.networks.nets.densenet import DenseNet121
from torch import Tensor, nn

from models.classifier import ChestClassifier
from models.relu import SwitchedReLU


class ChestDenseNet(ChestClassifier):
    """`ChestClassifier` on DenseNet-121.

    The last dense block works at stride 16 with its filters spread (Yu and Koltun 2017), not at
    stride 32: the same weights, maps of twice the side, a tenth more operations.
    """

    def __init__(self) -> None:
        super().__init__()
        net = DenseNet121(spatial_dims=2, in_channels=1, out_channels=1)
        self.body = net.features
        self.relu = nn.ReLU()
        refine(self.body)
        _switch_relus(self)

    def features(self, x: Tensor) -> Tensor:
        """Maps after the last ReLU: (B, 1024, S / 16, S / 16)."""
        return cast(Tensor, self.relu(self.body(x)))


def refine(body: nn.Module) -> None:
    """Keep the last block at stride 16: no pooling before it, its filters spread by two."""
    body.get_submodule("transition3").pool = nn.Identity()
    for module in body.get_submodule("denseblock4").modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            module.dilation, module.padding = (2, 2), (2, 2)


def _switch_relus(network: nn.Module) -> None:
    """Replace every ReLU by `SwitchedReLU`."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(parent, name, SwitchedReLU())
