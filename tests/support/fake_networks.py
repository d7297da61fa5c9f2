"""A cascade that needs no training: it reads the films that `draw` draws, and is always right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from models import registry
from models.cascade import Cascade, Settings
from models.classifier import MAPS, ChestClassifier
from models.operating import OperatingPoint
from models.reading import ModelIdentity
from models.unet import LungUNet
from train.data.films import Film

SIDE = 64  # of a film and of the network frame, pixels
_STRIDE = 16  # of the maps
_PLACES = {"pneumonia": 0.3, "covid": 0.7}  # column of the opacity, share of the film's width


def ellipse(row: float, column: float, high: float, wide: float) -> NDArray[np.bool_]:
    """Ellipse on a film; all lengths are shares of its side."""
    rows, columns = (np.mgrid[0:SIDE, 0:SIDE] + 0.5) / SIDE
    inside: NDArray[np.bool_] = ((columns - column) / wide) ** 2 + ((rows - row) / high) ** 2 < 1
    return inside


def lungs() -> NDArray[np.bool_]:
    """Both lungs of every film."""
    return ellipse(0.5, 0.3, 0.3, 0.15) | ellipse(0.5, 0.7, 0.3, 0.15)


def opacity(label: str) -> NDArray[np.bool_]:
    """Where a film of this label shows an opacity: left half, right half, or nowhere."""
    place = _PLACES.get(label)
    return np.zeros((SIDE, SIDE), np.bool_) if place is None else ellipse(0.4, place, 0.09, 0.09)


def draw(path: Path, label: str, seed: int) -> None:
    """Draw two dark lungs on gray with the label's opacity; lung mask and opacity lie beside it."""
    film = np.where(lungs(), 60.0, 180.0)
    film[opacity(label)] = 110.0
    film += np.random.default_rng(seed).normal(0, 4, film.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(film, 0, 255).astype(np.uint8)).save(path)
    for name, drawn in (("mask", lungs()), ("infection", opacity(label))):
        picture = Image.fromarray((drawn * 255).astype(np.uint8))
        picture.save(path.with_name(f"{path.stem}_{name}.png"))


def labelled_film(label: str, source: str = "nih", number: int = 0, **others: object) -> Film:
    """Make a film's row without its file, each number another patient's."""
    name = f"{source}-{label}-{number}"
    whole = Film(path=Path(f"{name}.png"), split="test", label=label, source=source, subsource="",
                 view="PA", group=name, licence="none")  # fmt: skip
    return replace(whole, **others)  # type: ignore[arg-type]


class DarkLungs(LungUNet):
    """Finds what is dark; counts the films it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.films = 0

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 2, S, S), alike in both channels."""
        self.films += len(x)
        return ((0.75 - x) * 20.0).expand(-1, 2, -1, -1)


class Opacities(ChestClassifier):
    """Finds pixels that are bright for lung: map 0 in the left half of the film, 1 in the right."""

    def __init__(self, left: float, right: float, bias: float) -> None:
        super().__init__()
        with torch.no_grad():
            self.out.weight.zero_()
            self.out.weight[0, :2] = torch.tensor([left, right])
            self.out.bias.fill_(bias)

    def features(self, x: Tensor) -> Tensor:
        """Maps (B, 1024, S / 16, S / 16), all but two of them 0."""
        bright = functional.avg_pool2d(functional.relu(x - 1.5), _STRIDE)
        half = bright.shape[-1] // 2
        maps = x.new_zeros(len(x), MAPS, *bright.shape[-2:])
        maps[:, 0, :, :half], maps[:, 1, :, half:] = bright[:, 0, :, :half], bright[:, 0, :, half:]
        return maps


def reading_cascade(**settings: object) -> Cascade:
    """Build a cascade of these networks; ``settings`` replace fields of its `Settings`."""
    own = Settings(size=SIDE, mask_margin=0, pneumonia=OperatingPoint(threshold=0.5))
    return Cascade(
        lungs=DarkLungs(),
        pneumonia=Opacities(left=200.0, right=200.0, bias=-3.0),
        covid19=Opacities(left=-200.0, right=200.0, bias=0.0),
        settings=replace(own, **settings),  # type: ignore[arg-type]
        identity=ModelIdentity(
            version="0",
            digests={"lungs": "a" * 64, "pneumonia": "b" * 64, "covid19": "c" * 64},
            h2_variant="cam",
        ),
    )


def _wake(network: nn.Module) -> None:
    """Fit every normalisation to noise, so that no layer of the random network is silent."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(4, 1, 64, 64))


def random_networks() -> dict[str, nn.Module]:
    """Give the three networks random weights, alike each time; the backbone is the small one."""
    torch.manual_seed(0)
    networks: dict[str, nn.Module] = {
        "lungs": LungUNet(),
        "pneumonia": registry.classifier("efficientnet-lite0"),
        "covid19": registry.classifier("efficientnet-lite0"),
    }
    for network in networks.values():
        _wake(network)
    return networks


def write_models(folder: Path, size: int = 32) -> Path:
    """Write a models directory of small random networks; all of a film is lung."""
    entries: dict[str, dict[str, object]] = {}
    for name, network in random_networks().items():
        file, card = f"weights/{name}.safetensors", f"cards/{name}.md"
        digest = registry.save_weights(network.state_dict(), folder / file)
        (folder / "cards").mkdir(exist_ok=True)
        (folder / card).write_text("# Random weights\n")
        entries[name] = {"file": file, "sha256": digest, "card": card, "licence": "none"}
        entries[name] |= {"threshold": 0.5, "temperature": 1.0}
    entries["lungs"] = {**entries["lungs"], "threshold": 0.001}
    del entries["lungs"]["temperature"]
    manifest = registry.Manifest.model_validate(
        {"version": "0", "backbone": "efficientnet-lite0", "size": size, "mask_margin": 2,
         "h2": "cam", "networks": entries}
    )  # fmt: skip
    registry.write_manifest(manifest, folder)
    return folder
