"""The cascade as a textbook writes it: what `models` is measured, and checked, against.

Plain eager PyTorch with contiguous tensors. Grad-CAM at stages 2 and 3 by hooks on the last ReLU
and a backward pass; guided backpropagation by hooks on every ReLU, a second forward and backward
pass; then the heatmap's check, as the cascade does it. Parameters are frozen, which textbooks
forget: with their gradients it would be slower still.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.networks.nets.densenet import DenseNet121
from monai.networks.nets.unet import UNet
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models import cam, heat_check, preprocess
from models.cascade import Cascade, Settings
from models.densenet import ChestDenseNet, refine
from models.reading import HeatCheck, Lungs, Reading, StageResult
from models.steps import lung_masks, masked
from models.unet import FIELD


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The recipe's result for one film; maps are (S, S) in [0, 1]."""

    pneumonia: float
    covid19: float
    h2: NDArray[np.float32]
    h3: NDArray[np.float32]
    guided: NDArray[np.float32]
    check: HeatCheck


class Recipe:
    """The networks of a cascade, rebuilt in the textbook way."""

    def __init__(self, cascade: Cascade) -> None:
        self.settings: Settings = cascade.settings
        self.identity = cascade.identity
        self.lungs = UNet(
            spatial_dims=2, in_channels=1, out_channels=2, channels=(16, 32, 64, 128, 256),
            strides=(2, 2, 2, 2), num_res_units=2, norm="batch",
        )  # fmt: skip
        self.lungs.load_state_dict(_contiguous(cascade.lungs.get_submodule("net")))
        self.lungs.eval().requires_grad_(False)
        self.pneumonia = _densenet(cascade.pneumonia)
        self.covid19 = _densenet(cascade.covid19)
        self.guided = _guided(_densenet(cascade.covid19))

    def read(self, image: NDArray[np.float32]) -> Answer:
        """Run all three stages with their maps, whatever stage 2 says."""
        pixels, frame = preprocess.to_network(image, self.settings.size)
        area = preprocess.film_area(frame)
        x = torch.from_numpy(pixels)[None, None]
        with torch.no_grad():
            lungs = lung_masks(self.lungs(x), [area], self.settings.lung_threshold)
            x_masked = masked(x, lungs, self.settings.mask_margin, [area])
        seen = lungs[:, FIELD : FIELD + 1]
        logit2, heat2 = _grad_cam(self.pneumonia, x_masked)
        h2 = _scaled(heat2, seen)
        gated = preprocess.gate(x_masked, h2, self.settings.h2_floor)
        logit3, heat3 = _grad_cam(self.covid19, gated)
        h3 = _scaled(heat3, seen)
        guided = cam.guided_grad_cam(_gradient(self.guided, gated), h3)
        pneumonia = self.settings.pneumonia.decide(logit2)
        lungs_here = seen[0, 0].numpy().astype(np.bool_)
        reading = Reading(
            frame=frame,
            lungs=Lungs(mask=lungs_here, aerated=lungs_here, area_fraction=lungs_here.mean()),
            pneumonia=pneumonia, covid19=None, h2=h2[0, 0].numpy() * area, h3=None, guided=None,
            model=self.identity,
        )  # fmt: skip
        return Answer(
            pneumonia=pneumonia.probability,
            covid19=self.settings.covid19.decide(logit3).probability,
            h2=reading.h2,
            h3=h3[0, 0].numpy() * area,
            guided=guided[0, 0].numpy() * area,
            check=heat_check.check(
                reading, _scaled(heat2, x_masked != 0)[0, 0].numpy() * area, x_masked,
                self._decisions, self.settings.heat_drop,
            ),
        )  # fmt: skip

    @torch.no_grad()
    def _decisions(self, films: Tensor) -> list[StageResult]:
        logits = self.pneumonia(films).flatten().tolist()
        return [self.settings.pneumonia.decide(each) for each in logits]

    @property
    def can_compare(self) -> bool:
        """Whether the cascade's stage-2 map is a Grad-CAM, too."""
        return self.settings.h2 == "cam"


def _densenet(trained: nn.Module) -> nn.Module:
    assert isinstance(trained, ChestDenseNet)
    network: Any = DenseNet121(spatial_dims=2, in_channels=1, out_channels=1)
    refine(network.features)
    network.features.load_state_dict(_contiguous(trained.body))
    network.class_layers.out.load_state_dict(_contiguous(trained.out))
    frozen: nn.Module = network.eval().requires_grad_(False)
    return frozen


def _contiguous(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone().contiguous() for name, value in network.state_dict().items()}


def _grad_cam(network: Any, x: Tensor) -> tuple[float, Tensor]:
    """The logit, and heat that is not scaled yet."""
    maps: list[Tensor] = []
    gradients: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        maps.append(output)
        output.register_hook(gradients.append)

    hook = network.class_layers.relu.register_forward_hook(keep)
    try:
        logit = network(x.clone().requires_grad_())
        logit.sum().backward()
    finally:
        hook.remove()
    weight = gradients[0].mean(dim=(2, 3), keepdim=True)
    heat = functional.relu((weight * maps[0]).sum(dim=1, keepdim=True)).detach()
    size = (x.shape[-1], x.shape[-1])
    heat = functional.interpolate(heat, size, mode="bilinear", align_corners=False)
    return logit.item(), heat


def _scaled(heat: Tensor, seen: Tensor) -> Tensor:
    heat = heat * seen
    return heat / heat.max().clamp(min=torch.finfo(heat.dtype).tiny)


def _guided(network: nn.Module) -> nn.Module:
    """Hook every ReLU: negative gradients are cut off."""

    def cut(
        _module: nn.Module, inward: tuple[Tensor, ...], _outward: tuple[Tensor, ...]
    ) -> tuple[Tensor]:
        return (inward[0].clamp(min=0.0),)

    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
            module.register_full_backward_hook(cut)
    return network


def _gradient(network: nn.Module, gated: Tensor) -> Tensor:
    x = gated.clone().requires_grad_()
    network(x).sum().backward()
    assert x.grad is not None
    return x.grad
