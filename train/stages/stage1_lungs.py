"""Stage 1: the lung U-Net, on two conventions of lung mask at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn

from models import preprocess, unet
from train.data import augment
from train.data.films import LungFilm, load_mask, load_pixels, read_lung_films
from train.data.sampler import shared_draw
from train.schedule import Phase
from train.stages.losses import lung_loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Films with masks, ready.

    ``x`` is (N, S, S) uint8, 255 white; ``masks`` (N, S, S) bool; ``channels`` (N,) int64, the
    output that follows each mask's convention.
    """

    x: Tensor
    masks: Tensor
    channels: Tensor


def stack(films: list[LungFilm], size: int) -> Batch:
    """Load films and their masks into the network frame, ``size`` pixels a side."""
    return Batch(
        x=torch.stack([_film(film.path, size) for film in films]),
        masks=torch.stack([_mask(film.masks, size) for film in films]),
        channels=torch.tensor([film.channel for film in films]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LungGroup:
    """Films with masks that give one share of every batch."""

    sources: tuple[str, ...] = ()  # any source if empty
    labels: tuple[str, ...] = ()  # any label if empty
    channel: int | None = None  # any convention if empty
    share: float = 1.0

    def holds(self, film: LungFilm) -> bool:
        """Whether the film is one of them."""
        return (
            (not self.sources or film.source in self.sources)
            and (not self.labels or film.label in self.labels)
            and self.channel in (None, film.channel)
        )


#: Equal shares of both conventions, so that neither is neglected.
CONVENTIONS = (LungGroup(channel=unet.AERATED), LungGroup(channel=unet.FIELD))


class LungTask:
    """Dice + cross-entropy on groups of films; opacities are drawn into their lungs.

    Parameters
    ----------
    network
        The `LungUNet` to train, with the weights to start from.
    data
        Folder with films and manifest.
    groups
        Which films give which share of a batch.
    """

    def __init__(
        self, network: nn.Module, data: Path, groups: Sequence[LungGroup] = CONVENTIONS
    ) -> None:
        self.network, self.recipe = network, groups
        films = read_lung_films(data)
        self.films = {s: [f for f in films if f.split == s] for s in ("train", "val")}
        self.ready: dict[str, Batch] = {}

    def prepare(self, size: int) -> None:
        """Load both splits at this size."""
        self.ready = {split: stack(films, size) for split, films in self.films.items()}
        films = list(enumerate(self.films["train"]))
        self.groups = [[i for i, film in films if one.holds(film)] for one in self.recipe]

    def batch(self, phase: Phase, generator: Generator) -> dict[str, Tensor]:
        """Films, moved with their masks, then exposed otherwise."""
        ready = self.ready["train"]
        shares = [one.share for one in self.recipe]
        drawn = shared_draw(self.groups, shares, phase.batch, generator)
        chosen = [i for part in drawn for i in part]
        geometry = augment.Geometry(turn=0.2, zoom=0.2, shift=0.12)
        theta = augment.affine(len(chosen), geometry, generator)
        outlines = ready.masks[chosen].float()
        veiled = augment.opacify(ready.x[chosen][:, None].float() / 255.0, outlines, generator)
        x = augment.expose(augment.warp(veiled, theta), generator)
        masks = augment.warp(outlines[:, None], theta, mode="nearest")
        x = augment.cut_out(augment.soften(x, generator), generator, share=0.5)
        return {
            "x": x.to(memory_format=torch.channels_last),
            "masks": masks[:, 0],
            "channels": ready.channels[chosen],
        }

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Cross-entropy + Dice."""
        return lung_loss(network(batch["x"]), batch["masks"], batch["channels"])

    def validate(self, network: nn.Module, phase: Phase) -> dict[str, float]:
        """Mean Dice per convention; the score is their mean."""
        ready, device = self.ready["val"], next(network.parameters()).device
        scores: dict[int, list[float]] = {unet.AERATED: [], unet.FIELD: []}
        for i in range(len(ready.x)):
            x = ready.x[i : i + 1, None].float() / 255.0
            channel = int(ready.channels[i])
            mask = network(x.to(device))[0, channel] > 0
            scores[channel].append(dice(mask.cpu().numpy(), ready.masks[i].numpy()))
        aerated, field = (float(np.mean(scores[c])) for c in (unet.AERATED, unet.FIELD))
        return {"score": (aerated + field) / 2, "dice_aerated": aerated, "dice_field": field}


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice coefficient of two boolean masks of one shape, in [0, 1]; 1 if both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2.0 * int((one & other).sum()) / total if total else 1.0


def _film(path: Path, size: int) -> Tensor:
    pixels, _ = preprocess.to_network(load_pixels(path), size)
    return torch.from_numpy((pixels * 255.0).round().astype(np.uint8))


def _mask(paths: Sequence[Path], size: int) -> Tensor:
    return torch.from_numpy(load_mask(paths, size))
