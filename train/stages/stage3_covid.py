"""Stage 3: COVID-19 against other pneumonia, on the masked film gated by stage 2's heat."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from models import preprocess
from models.densenet import ChestDenseNet
from train.data.films import COVID, NORMAL, read_films
from train.data.sampler import even_draw
from train.schedule import Phase
from train.stages.losses import incremental_loss, smooth
from train.stages.masked import Masking, heatmaps, masked_films, shrink
from train.stages.stage2_pneumonia import Recipe, augmented, data_cache, score


class CovidTask:
    """Cross-entropy on pneumonia films only; stages 1 and 2 stay as they are."""

    def __init__(
        self, network: ChestDenseNet, data: Path, masking: Masking, stage2: Path, recipe: Recipe
    ) -> None:
        self.network, self.recipe = network, recipe
        sources = {source for group in recipe.groups for source in group.sources}
        films = [f for f in read_films(data, ("train", "val")) if f.source in sources]
        self.films = [f for f in films if f.label != NORMAL]
        masked = masked_films(self.films, masking, data_cache(masking))
        self.gated = gated(masked, heatmaps(masked, stage2, stage2.parent / "cache"))
        self.at_size = self.gated
        train = [(i, f) for i, f in enumerate(self.films) if f.split == "train"]
        self.groups = [[i for i, f in train if group.holds(f)] for group in recipe.groups]
        self.targets = torch.tensor([float(f.label == COVID) for f in self.films])

    def prepare(self, size: int) -> None:
        """Shrink the films."""
        self.at_size = shrink(self.gated, size)

    def batch(self, phase: Phase, generator: Generator) -> dict[str, Tensor]:
        """Augmented, gated films."""
        chosen = even_draw(self.groups, phase.batch, generator)
        x = augmented(self.at_size[chosen].float(), generator)
        return {"x": x, "targets": self.targets[chosen]}

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Cross-entropy."""
        targets = smooth(batch["targets"], self.recipe.smoothing)
        return incremental_loss(network(batch["x"]), targets)

    def validate(self, network: nn.Module, phase: Phase) -> dict[str, float]:
        """AUC over all validation films and within one source; the score is their mean."""
        val = [i for i, film in enumerate(self.films) if film.split == "val"]
        return score(network, self.at_size, self.films, self.targets, val, self.recipe.within)


def gated(masked: Tensor, h2: Tensor) -> Tensor:
    """Gate all films, x ⊙ H2: (N, 1, S, S) float16."""
    size = masked.shape[-1]
    return torch.cat(
        [
            preprocess.gate(
                x.float(),
                functional.interpolate(h.float(), (size, size), mode="bilinear"),
            ).half()
            for x, h in zip(torch.split(masked, 64), torch.split(h2, 64), strict=True)
        ]
    )
