"""Stage 2: normal against pneumonia of any kind, on the film inside its lungs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from models.classifier import ChestClassifier
from train.data.films import LABELS, NORMAL, Film, read_films
from train.data.sampler import shared_draw
from train.evaluation import metrics
from train.schedule import Phase
from train.stages.losses import distillation, heat_losses, smooth
from train.stages.masked import Masking
from train.stages.recipe import UNLABELLED, Recipe
from train.stages.shown import Batch, Shown
from train.weights import teachers


class ClassifierTask:
    """Train a classifier by cross-entropy, distillation (paper eq. 2) and its heat's place.

    Parameters
    ----------
    network
        The classifier to train, with the weights to start from.
    films
        Those of the split "train" teach, those of "val" validate; see `learning_films`.
    masking
        Stage 1 as the node uses it.
    recipe
        Films, shares, augmentation and teachers.
    negative
        The label of negative films; every other label is positive.
    stage2
        Weights of the stage 2 that gives H2, for stage 3, which learns from no normal film; None:
        H2 is 1 everywhere.
    """

    def __init__(
        self,
        network: ChestClassifier,
        films: list[Film],
        masking: Masking,
        recipe: Recipe,
        *,
        negative: str,
        stage2: Path | None = None,
    ) -> None:
        self.network, self.films, self.masking, self.recipe = network, films, masking, recipe
        self.shown = Shown(self.films, masking, data_cache(masking), stage2)
        train = [(i, f) for i, f in enumerate(self.films) if f.split == "train"]
        self.groups = [[i for i, f in train if group.holds(f)] for group in recipe.groups]
        self.negative = negative
        self.previous = teachers(recipe.previous)

    def prepare(self, size: int) -> None:
        """Do nothing: films are kept at one size, and each batch is resized to the phase's."""

    def batch(self, phase: Phase, generator: Generator) -> dict[str, Tensor]:
        """Varied films; which of them teach by their label, and which belong to D_o."""
        shares = [group.share for group in self.recipe.groups]
        drawn = shared_draw(self.groups, shares, phase.batch, generator)
        chosen = [i for part in drawn for i in part]
        labelled = [
            float(group.label != UNLABELLED)
            for group, part in zip(self.recipe.groups, drawn, strict=True)
            for _ in part
        ]
        films = [self.films[i] for i in chosen]
        old = [
            float(not known or film.source in self.recipe.original)
            for film, known in zip(films, labelled, strict=True)
        ]
        batch = self.shown.varied(
            chosen, phase.size, self.recipe.margins, generator, self.recipe.floors
        )
        return {
            "x": self.seen(batch),
            "field": batch.field,
            "infection": batch.infection,
            "targets": self.targets(films),
            "labelled": torch.tensor(labelled),
            "original": torch.tensor(old),
        }

    def seen(self, batch: Batch) -> Tensor:
        """Return the network's input."""
        return batch.x

    def targets(self, films: Sequence[Film]) -> Tensor:
        """1 for every label but the negative one: (B,)."""
        return torch.tensor([float(film.label != self.negative) for film in films])

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Eq. 2, both sides weighing the same, plus the evidence's loss."""
        x, targets, labelled = batch["x"], batch["targets"], batch["labelled"]
        features = cast(ChestClassifier, network).features(x)
        logits = self.network.classify(features)
        ill, well = labelled * targets, labelled * (1.0 - targets)
        weights = 0.5 * ill / ill.sum().clamp(min=1) + 0.5 * well / well.sum().clamp(min=1)
        entropy = functional.binary_cross_entropy_with_logits(
            logits, smooth(targets, self.recipe.smoothing), reduction="none"
        )
        loss = (entropy * weights).sum()
        previous = self._previous_logits(x)
        if previous is not None:
            held = distillation(logits, previous) * batch["original"]
            loss = loss + self.recipe.distil * held.sum() / len(held)
        if self.recipe.heat:
            evidence = torch.einsum("bchw,c->bhw", features, self.network.class_weight)
            outside, beside = heat_losses(evidence, batch["field"], batch["infection"], ill)
            loss = loss + self.recipe.heat * (outside + beside)
        return loss

    def validate(self, network: nn.Module, phase: Phase) -> dict[str, float]:
        """AUC over all validation films and within one source; the score is their mean."""
        val = [i for i, f in enumerate(self.films) if f.split == "val" and f.label in LABELS]
        films = [self.films[i] for i in val]
        positive = self.targets(films).numpy() > 0
        logits = self.logits(network, val, phase.size)
        return within_and_pooled(logits, positive, films, self.recipe.within)

    @torch.inference_mode()
    def logits(self, network: nn.Module, chosen: Sequence[int], size: int) -> NDArray[np.float64]:
        """Compute the logits of films that are prepared as in the node, at this size.

        Parameters
        ----------
        network
            In eval mode.
        chosen
            Indices of N films.
        size
            Side at which the network sees them, pixels.

        Returns
        -------
        array
            (N,).
        """
        device = next(network.parameters()).device
        logits = []
        for part in _parts(chosen, 16):
            batch = self.shown.plain(part, size, self.recipe.floor)
            logits.append(network(self.seen(batch).to(device)).float().cpu())
        return torch.cat(logits).double().numpy()

    @torch.no_grad()
    def _previous_logits(self, x: Tensor) -> Tensor | None:
        if not self.previous or not self.recipe.distil:
            return None
        return torch.stack([one.to(x.device)(x) for one in self.previous]).mean(dim=0)


class PneumoniaTask(ClassifierTask):
    """Normal against pneumonia of any kind."""

    def __init__(
        self, network: ChestClassifier, films: list[Film], masking: Masking, recipe: Recipe
    ) -> None:
        super().__init__(network, films, masking, recipe, negative=NORMAL)


def learning_films(data: Path, recipe: Recipe) -> list[Film]:
    """Choose the training films that a group holds, and the labelled validation films.

    Parameters
    ----------
    data
        Folder with films and manifest.
    recipe
        Names the groups.
    """
    sources = {source for group in recipe.groups for source in group.sources}
    films = read_films(data, ("train", "val"), labels=None)
    return [
        film
        for film in films
        if film.source in sources
        and (
            any(group.holds(film) for group in recipe.groups)
            if film.split == "train"
            else film.label in LABELS
        )
    ]


def within_and_pooled(
    logits: NDArray[np.float64], positive: NDArray[np.bool_], films: Sequence[Film], within: str
) -> dict[str, float]:
    """AUC of all films, of one source's films alone, and their mean.

    Parameters
    ----------
    logits, positive
        One value for each film: (N,).
    films
        The films.
    within
        The source.

    Returns
    -------
    dict
        ``score``, the mean; ``auc_pooled``; ``auc_WITHIN``. nan if a side has no films.
    """
    inside = np.array([film.source == within for film in films])
    pooled = metrics.auc(logits, positive)
    alone = metrics.auc(logits[inside], positive[inside])
    return {"score": (pooled + alone) / 2, "auc_pooled": pooled, f"auc_{within}": alone}


def data_cache(masking: Masking) -> Path:
    """The cache of small films, beside the weights that found their lungs."""
    return masking.weights.parent / "cache"


def _parts(indices: Sequence[int], size: int) -> list[Sequence[int]]:
    return [indices[i : i + size] for i in range(0, len(indices), size)]
