"""A models directory that reads every film with all three stages.

The packaged networks with the lowest threshold for stage 2, so that the whole cascade is measured;
if no networks are packaged, untrained ones of the same shape.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import torch
from torch import nn

from dicom_node.demo.phantom import phantom
from models import registry
from models.cascade import Cascade
from models.unet import LungUNet

Version: TypeAlias = Literal["paper", "lite"]
#: The textbook recipe is of the first one's network, DenseNet-121.
VERSIONS: tuple[Version, ...] = get_args(Version)
_ALWAYS = 1e-9  # every probability is above this threshold


@cache
def models_dir(version: Version = "paper") -> Path:
    """The directory; it is removed when the program ends."""
    packaged = registry.SHIPPED[version]
    folder = Path(tempfile.mkdtemp(prefix="bench-models-"))
    atexit.register(shutil.rmtree, folder)
    manifest = registry.read_manifest(packaged)
    try:
        registry.identity(packaged)
    except registry.WeightsError:
        manifest = _untrained(folder, manifest)
    else:
        for name in ("weights", "cards"):
            (folder / name).symlink_to(packaged / name)
    pneumonia = manifest.networks.pneumonia.model_copy(update={"threshold": _ALWAYS})
    networks = manifest.networks.model_copy(update={"pneumonia": pneumonia})
    registry.write_manifest(manifest.model_copy(update={"networks": networks}), folder)
    return folder


@cache
def cascade(*, folded: bool = True) -> Cascade:
    """The networks of `models_dir`, folded as the worker has them."""
    return registry.load(models_dir(), folded=folded)


def version() -> str:
    """The version of the networks."""
    return cascade().identity.version


def _untrained(folder: Path, manifest: registry.Manifest) -> registry.Manifest:
    entries = manifest.networks.entries()
    drawn = {}
    for number, (name, entry) in enumerate(entries.items()):
        torch.manual_seed(number)
        network = LungUNet() if name == "lungs" else registry.classifier(manifest.backbone)
        _settle(network)
        digest = registry.save_weights(network.state_dict(), folder / entry.file)
        card = folder / entry.card
        card.parent.mkdir(exist_ok=True)
        card.write_text("Untrained, for benchmarks.\n")
        drawn[name] = entry.model_copy(update={"sha256": digest})
    networks = manifest.networks.model_copy(update=drawn)
    return manifest.model_copy(update={"version": "untrained", "networks": networks})


def _settle(network: nn.Module) -> None:
    """Run films through batch norm, so that the maps are neither zero nor unbounded."""
    films = [torch.from_numpy(phantom(256, 256, seed=seed)) for seed in range(4)]
    with torch.no_grad():
        for _ in range(8):
            network(torch.stack(films)[:, None])
