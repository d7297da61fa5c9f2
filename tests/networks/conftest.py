"""Networks with random weights, small films, and a models directory made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dicom_node.demo.phantom import phantom
from models import registry
from models.cascade import Cascade, Settings
from models.classifier import ChestClassifier
from models.densenet import ChestDenseNet
from models.operating import OperatingPoint
from models.reading import ModelIdentity
from models.unet import LungUNet

SIZE = 128
IDENTITY = ModelIdentity(version="test", digests={"lungs": "a" * 64}, h2_variant="cam")

Build = Callable[..., Cascade]
Network = TypeVar("Network", bound=ChestClassifier)


def random_densenet(seed: int) -> ChestDenseNet:
    """A DenseNet of random weights, every layer alive."""
    torch.manual_seed(seed)
    return alive(ChestDenseNet(), seed)


def alive(network: Network, seed: int) -> Network:
    """Let a classifier's normalisation see noise, so that every layer is alive."""
    torch.manual_seed(seed)
    with torch.inference_mode(mode=False), torch.no_grad():
        network.train()(torch.randn(4, 1, 64, 64))
    return network.eval()


@pytest.fixture(scope="session")
def densenet() -> ChestDenseNet:
    return random_densenet(1)


@pytest.fixture(scope="session", params=["densenet121", "efficientnet-lite0"])
def backbone(request: pytest.FixtureRequest) -> ChestClassifier:
    """Each network that stages 2 and 3 can be, every layer alive."""
    return alive(registry.classifier(request.param), 1)


@pytest.fixture(scope="session")
def networks() -> tuple[LungUNet, ChestDenseNet, ChestDenseNet]:
    """Not the `densenet` fixture: a cascade changes the memory layout of its networks."""
    torch.manual_seed(0)
    return LungUNet().eval(), random_densenet(1), random_densenet(2)


@pytest.fixture
def build(networks: tuple[LungUNet, ChestDenseNet, ChestDenseNet]) -> Build:
    """Cascades over the same random networks: thresholds given, everything passes by default."""

    def _build(
        *,
        lungs: float = 0.01,
        pneumonia: float = 0.0,
        margin: int | None = 4,
        **others: object,
    ) -> Cascade:
        settings = Settings(
            size=SIZE,
            mask_margin=margin,
            lung_threshold=lungs,
            pneumonia=OperatingPoint(threshold=pneumonia),
            **others,  # type: ignore[arg-type]
        )
        unet, second, third = networks
        return Cascade(
            lungs=unet, pneumonia=second, covid19=third, settings=settings, identity=IDENTITY
        )

    return _build


@pytest.fixture(scope="session")
def film() -> NDArray[np.float32]:
    return phantom(200, 160, seed=4, opacity=0.8)


@pytest.fixture
def directory(tmp_path: Path, networks: tuple[LungUNet, ChestDenseNet, ChestDenseNet]) -> Path:
    """A models directory as `train export` leaves it."""
    entries: dict[str, dict[str, object]] = {}
    for name, network in zip(("lungs", "pneumonia", "covid19"), networks, strict=True):
        file, card = f"weights/{name}.safetensors", f"cards/{name}.md"
        digest = registry.save_weights(network.state_dict(), tmp_path / file)
        (tmp_path / "cards").mkdir(exist_ok=True)
        (tmp_path / card).write_text("# Random weights\n")
        entries[name] = {
            "file": file,
            "sha256": digest,
            "card": card,
            "licence": "Apache-2.0",
            "threshold": 0.5,
        }
    entries["pneumonia"]["temperature"] = entries["covid19"]["temperature"] = 2.0
    manifest = registry.Manifest.model_validate(
        {"version": "0.0.1", "size": SIZE, "mask_margin": 4, "h2": "cam", "networks": entries}
    )
    registry.write_manifest(manifest, tmp_path)
    return tmp_path
