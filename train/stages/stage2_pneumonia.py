"""Stage 2: normal against pneumonia of any kind, on the masked film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from models.densenet import ChestDenseNet
from train.data import augment
from train.data.films import NORMAL, Film, read_films
from train.data.sampler import even_draw
from train.evaluation import metrics
from train.schedule import Phase
from train.stages.losses import incremental_loss, smooth
from train.stages.masked import Masking, masked_films, shrink
from train.weights import frozen_classifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Films that give one equal share of every batch."""

    label: str
    sources: tuple[str, ...]

    def holds(self, film: Film) -> bool:
        """Whether the film is one of them."""
        return film.label == self.label and film.source in self.sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What stages 2 and 3 are taught, besides the schedule."""

    groups: tuple[Group, ...]  # of the training split; each an equal share of the batch
    within: str  # the source whose validation films alone give half of the score
    smoothing: float = 0.1
    distil: float = 0.0  # λ of paper eq. 2
    previous: Path | None = None  # frozen weights that eq. 2 distils from
    original: tuple[str, ...] = ()  # the sources that make D_o


class PneumoniaTask:
    """Cross-entropy with eq. 2; normals weigh twice, so that both sides weigh the same."""

    def __init__(
        self, network: ChestDenseNet, data: Path, masking: Masking, recipe: Recipe
    ) -> None:
        self.network, self.recipe = network, recipe
        sources = {source for group in recipe.groups for source in group.sources}
        self.films = [f for f in read_films(data, ("train", "val")) if f.source in sources]
        self.masked = masked_films(self.films, masking, data_cache(masking))
        self.at_size = self.masked
        train = [(i, f) for i, f in enumerate(self.films) if f.split == "train"]
        self.groups = [[i for i, f in train if group.holds(f)] for group in recipe.groups]
        self.targets = torch.tensor([float(f.label != NORMAL) for f in self.films])
        self.previous = frozen_classifier(recipe.previous) if recipe.previous else None

    def prepare(self, size: int) -> None:
        """Shrink the films."""
        self.at_size = shrink(self.masked, size)

    def batch(self, phase: Phase, generator: Generator) -> dict[str, Tensor]:
        """Augmented films; which of them belong to D_o."""
        chosen = even_draw(self.groups, phase.batch, generator)
        old = [float(self.films[i].source in self.recipe.original) for i in chosen]
        return {
            "x": augmented(self.at_size[chosen].float(), generator),
            "targets": self.targets[chosen],
            "original": torch.tensor(old),
        }

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Eq. 2."""
        x, targets = batch["x"], batch["targets"]
        positives, negatives = targets.sum(), (1 - targets).sum()
        weights = torch.where(targets > 0, 0.5 / positives, 0.5 / negatives) * len(targets)
        return incremental_loss(
            network(x),
            smooth(targets, self.recipe.smoothing),
            weights=weights,
            previous=self._previous_logits(x),
            original=batch["original"],
            lam=self.recipe.distil,
        )

    def validate(self, network: nn.Module, phase: Phase) -> dict[str, float]:
        """AUC over all validation films and within one source; the score is their mean."""
        val = [i for i, film in enumerate(self.films) if film.split == "val"]
        return score(network, self.at_size, self.films, self.targets, val, self.recipe.within)

    @torch.no_grad()
    def _previous_logits(self, x: Tensor) -> Tensor | None:
        if self.previous is None or not self.recipe.distil:
            return None
        logits: Tensor = self.previous.to(x.device)(x)
        return logits


def augmented(x: Tensor, generator: Generator) -> Tensor:
    """Masked films (B, C, S, S), moved and disturbed; the first channel is the film."""
    theta = augment.affine(len(x), augment.Geometry(), generator)
    x = augment.disturb(augment.warp(x, theta), generator)
    return augment.cut_out(x, generator).to(memory_format=torch.channels_last)


def score(
    network: nn.Module,
    x: Tensor,
    films: list[Film],
    targets: Tensor,
    chosen: list[int],
    within: str,
) -> dict[str, float]:
    """Both AUCs of a network on chosen films."""
    device = next(network.parameters()).device
    parts = [network(x[part].float().to(device)).float().cpu() for part in _parts(chosen, 8)]
    positive = targets[chosen].numpy() > 0
    return within_and_pooled(
        torch.cat(parts).double().numpy(), positive, [films[i] for i in chosen], within
    )


def within_and_pooled(
    logits: NDArray[np.float64], positive: NDArray[np.bool_], films: Sequence[Film], within: str
) -> dict[str, float]:
    """AUC of all films, of one source's films alone, and their mean as ``score``."""
    inside = np.array([film.source == within for film in films])
    pooled = metrics.auc(logits, positive)
    alone = metrics.auc(logits[inside], positive[inside])
    return {"score": (pooled + alone) / 2, "auc_pooled": pooled, f"auc_{within}": alone}


def data_cache(masking: Masking) -> Path:
    """Masked films are kept beside the weights that masked them."""
    return masking.weights.parent / "cache"


def _parts(indices: list[int], size: int) -> list[list[int]]:
    return [indices[i : i + size] for i in range(0, len(indices), size)]
