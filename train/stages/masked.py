"""Films as stages 2 and 3 see them, made once by the cascade's own steps and kept on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from models import cascade, preprocess
from models.unet import LungUNet
from train.data.films import Film, load_pixels
from train.weights import frozen, frozen_classifier

#: Heatmaps are kept this small; they come from maps of 16 x 16 and are smooth.
H2_SIDE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    """The frozen stage 1 as later stages use it."""

    weights: Path  # state dict of the LungUNet
    size: int = 512
    margin: int = 12  # network pixels at ``size``
    threshold: float = 0.5
    whole: bool = False  # the whole film instead: what the mask is good for (paper, Table 3)

    def network(self) -> LungUNet:
        """Load the network."""
        return frozen(LungUNet(), self.weights)


def masked_films(films: Sequence[Film], masking: Masking, cache: Path) -> Tensor:
    """Masked, standardised films, (N, 1, S, S) float16; from ``cache`` where it has them."""
    network = masking.network()

    @torch.inference_mode()
    def one(i: int) -> Tensor:
        pixels, frame = preprocess.to_network(load_pixels(films[i].path), masking.size)
        x = torch.from_numpy(pixels)[None, None]
        area = preprocess.film_area(frame)
        if masking.whole:
            return preprocess.mask_film(x, torch.from_numpy(area)[None, None], 0)[0].half()
        lungs = cascade.lung_masks(cascade.stage1(network, x), [area], masking.threshold)
        return cascade.masked(x, lungs, masking.margin)[0].half()

    key: list[bytes | str] = [masking.weights.read_bytes(), f"{masking.size} {masking.margin}"]
    key += [str(masking.threshold), *(str(film.path) for film in films)]
    key += ["whole"] if masking.whole else []
    return _cached(cache, "masked", key, len(films), one)


def heatmaps(masked: Tensor, weights: Path, cache: Path) -> Tensor:
    """H2 of the frozen stage 2 for masked films: (N, 1, `H2_SIDE`, `H2_SIDE`) float16."""
    network = frozen_classifier(weights)

    @torch.inference_mode()
    def one(i: int) -> Tensor:
        _, h2 = cascade.stage2(network, masked[i : i + 1].float())
        return functional.interpolate(h2, (H2_SIDE, H2_SIDE), mode="area")[0].half()

    traits = f"{tuple(masked.shape)} {masked.float().abs().sum().item()}"
    return _cached(cache, "h2", [weights.read_bytes(), traits], len(masked), one)


def shrink(masked: Tensor, size: int) -> Tensor:
    """Masked films at another side, antialiased."""
    if masked.shape[-1] == size:
        return masked
    small = [
        functional.interpolate(
            part.float(), (size, size), mode="bilinear", antialias=True, align_corners=False
        ).half()
        for part in torch.split(masked, 64)
    ]
    return torch.cat(small)


def _cached(
    folder: Path, name: str, key: list[bytes | str], count: int, one: Callable[[int], Tensor]
) -> Tensor:
    digest = hashlib.sha256()
    for part in key:
        digest.update(part.encode() if isinstance(part, str) else part)
    path = folder / f"{name}-{digest.hexdigest()[:16]}.pt"
    if path.exists():
        return cast(Tensor, torch.load(path, weights_only=True, mmap=True))
    made = torch.stack([one(i) for i in range(count)])
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")  # another process may make the same
    torch.save(made, unfinished)
    unfinished.replace(path)
    return made
