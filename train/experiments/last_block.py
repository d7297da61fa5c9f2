"""The last dense block of a DenseNet and what follows, learned alone on what stands before it.

A third of the weights and little of the work: a film's maps before the block are made once.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Generator, Tensor, nn

from models.classifier import ChestClassifier
from models.densenet import ChestDenseNet
from train.data.films import NORMAL, Film
from train.data.sampler import even_draw
from train.files import kept_array
from train.schedule import Phase
from train.stages.recipe import Recipe
from train.stages.stage2_pneumonia import ClassifierTask

_LAST = 2  # the dense block and its batch norm


class LastBlock(ChestClassifier):
    """Maps before the last dense block -> logits (B,)."""

    def __init__(self, network: ChestDenseNet) -> None:
        super().__init__()
        self.body = nn.Sequential(*list(network.body.children())[-_LAST:])
        self.relu, self.out = nn.ReLU(), network.out

    def features(self, x: Tensor) -> Tensor:
        """Maps before the block (B, 512, h, w) -> maps after the last ReLU (B, 1024, h, w)."""
        return cast(Tensor, self.relu(self.body(x)))

    @torch.inference_mode()
    def answers(self, maps: Tensor) -> NDArray[np.float64]:
        """Logits (N,) of many films' maps (N, 512, h, w); switches to eval mode."""
        self.eval()
        answers = torch.cat([self(part.float()) for part in torch.split(maps, 8)])
        return answers.double().numpy()


class LastBlockTask(ClassifierTask):
    """Stage 2's loss on kept maps; nothing is augmented and nothing selected.

    Parameters
    ----------
    network
        To train.
    previous
        The network that eq. 2 distils from; frozen.
    films, maps
        N films, and what `maps_before` made of each: (N, 512, h, w).
    recipe
        Groups, smoothing and λ.
    """

    def __init__(
        self, network: LastBlock, previous: LastBlock, films: list[Film], maps: Tensor,
        recipe: Recipe,
    ) -> None:  # fmt: skip
        self.network, self.recipe, self.films, self.maps = network, recipe, films, maps
        self.previous, self.negative = [previous.eval().requires_grad_(False)], NORMAL
        self.groups = [[i for i, f in enumerate(films) if g.holds(f)] for g in recipe.groups]

    def prepare(self, size: int) -> None:
        """Prepare nothing: the maps are kept already."""

    def batch(self, phase: Phase, generator: Generator) -> dict[str, Tensor]:
        """Draw films; which of them belong to D_o."""
        chosen = even_draw(self.groups, phase.batch, generator)
        films = [self.films[i] for i in chosen]
        old = [float(film.source in self.recipe.original) for film in films]
        return {
            "x": self.maps[chosen].float(),
            "targets": self.targets(films),
            "labelled": torch.ones(len(chosen)),
            "original": torch.tensor(old),
        }

    def validate(self, network: nn.Module, phase: Phase) -> dict[str, float]:
        """Nothing is selected: the last step's average is taken."""
        return {"score": 0.0}


def maps_before(network: ChestDenseNet, x: Tensor, kept: Path) -> Tensor:
    """What stands before the last dense block; kept on disk, part by part.

    Parameters
    ----------
    network
        Put into eval mode.
    x
        Masked films, (N, 1, S, S).
    kept
        The folder of the parts.

    Returns
    -------
    Tensor
        (N, 512, S / 16, S / 16) float16.
    """
    front = nn.Sequential(*list(network.eval().body.children())[:-_LAST])
    weights = b"".join(value.numpy().tobytes() for value in network.state_dict().values())

    @torch.inference_mode()
    def make(films: Tensor) -> NDArray[np.float16]:
        return torch.cat([front(film[None].float()).half() for film in films]).numpy()

    parts = []
    for part in track(torch.split(x, 32), "maps"):
        digest = hashlib.sha256(weights + part.numpy().tobytes()).hexdigest()
        maps = kept_array(kept / f"maps-{digest[:16]}.npy", partial(make, part))
        parts.append(torch.from_numpy(maps))
    return torch.cat(parts)
