"""Films as input of the classifiers: reduced, augmented, and masked as the cascade does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional

from models import preprocess, steps
from train.data import augment, cache
from train.data.films import Film
from train.stages.masked import Masking

#: How far a film is moved.
_GEOMETRY = augment.Geometry(turn=0.2, zoom=0.15, shift=0.1)
#: Share of the films that lose a box.
_CUT = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Films as stage 2 sees them, and what is known of their places.

    All are (B, 1, S, S) float32. ``x`` is in standard deviations, see `preprocess.mask_film`;
    ``field`` and ``infection`` are zeros and ones; ``h2`` is stage 2's heat if it was asked for, in
    [0, 1] and raised by its floor (`preprocess.gate`), else ones.
    """

    x: Tensor
    field: Tensor
    infection: Tensor
    h2: Tensor


class Shown:
    """Films of a run, their lungs, areas and drawn infections, each from a memory map.

    Parameters
    ----------
    films
        The films; `plain` and `varied` take their indices.
    masking
        Stage 1, and the size at which films are kept.
    folder
        Of the cache, see `cache.kept`.
    stage2
        Weights of the stage 2 that gives H2; None: H2 is 1 everywhere.
    """

    def __init__(
        self, films: Sequence[Film], masking: Masking, folder: Path, stage2: Path | None = None
    ) -> None:
        self.films, self.masking, size = films, masking, masking.size
        self.pictures = cache.pictures(films, size, folder)
        self.areas = cache.areas(films, size, folder)
        self.infections = cache.infections(films, size, folder)
        self.fields = masking.fields(films, self.pictures, self.areas, folder)
        self.h2: cache.Pictures | None = None
        if stage2 is not None:
            self.h2 = self._heat(stage2, folder)

    def plain(self, chosen: Sequence[int], size: int, floor: float = 0.0) -> Batch:
        """Films without augmentation, as the node would show them.

        Parameters
        ----------
        chosen
            Indices of films.
        size
            Side of the result, pixels; antialiased if it is not the masking's.
        floor
            The node's `h2_floor`, in [0, 1].
        """
        layers = self._layers(chosen)
        if size != self.masking.size:
            layers = functional.interpolate(
                layers, (size, size), mode="bilinear", antialias=True, align_corners=False
            )
        layers[:, 4:] = floor + (1.0 - floor) * layers[:, 4:]
        return self._batch(layers, layers[:, :1], [self.masking.margin] * len(chosen))

    def varied(
        self,
        chosen: Sequence[int],
        size: int,
        margins: Sequence[int | None],
        generator: Generator,
        floors: tuple[float, float] = (0.0, 0.0),
    ) -> Batch:
        """Films moved, exposed, blurred, coded and cut otherwise, then masked.

        Parameters
        ----------
        chosen
            Indices of films.
        size
            Side of the result, pixels.
        margins
            Around the lung field, pixels of the masking's frame, None for the whole film; one is
            drawn for each film.
        generator
            Of all draws.
        floors
            For each film the floor of H2 is drawn between these, in [0, 1].
        """
        theta = augment.affine(len(chosen), _GEOMETRY, generator)
        layers = augment.warp(self._layers(chosen), theta, size=size)
        low, high = floors
        floor = low + (high - low) * torch.rand(len(chosen), 1, 1, 1, generator=generator)
        layers[:, 4:] = floor + (1.0 - floor) * layers[:, 4:]
        lit = augment.expose(layers[:, :1], generator)
        film = augment.recode(augment.soften(lit, generator), generator)
        picks = torch.randint(len(margins), (len(chosen),), generator=generator).tolist()
        batch = self._batch(layers, film, [margins[pick] for pick in picks])
        cut = augment.cut_out(batch.x, generator, _CUT)
        x = cut.contiguous(memory_format=torch.channels_last)
        return Batch(x=x, field=batch.field, infection=batch.infection, h2=batch.h2)

    def _layers(self, chosen: Sequence[int]) -> Tensor:
        """Film, lung field, film area, infection, H2: (B, 5, S, S) in [0, 1]."""
        parts: list[NDArray[np.generic]] = [self.pictures[chosen] / np.float32(255)]
        parts += [self.fields[chosen], self.areas[chosen], self.infections[chosen]]
        whole = np.ones_like(self.areas[chosen])
        parts.append(whole if self.h2 is None else self.h2[chosen] / np.float32(255))
        return torch.from_numpy(np.stack([part.astype(np.float32) for part in parts], axis=1))

    def _heat(self, weights: Path, folder: Path) -> cache.Pictures:
        masking = self.masking
        network = masking.classifier(weights)
        places = {film.path: i for i, film in enumerate(self.films)}

        @torch.inference_mode()
        def one(film: Film) -> cache.Pictures:
            batch = self.plain([places[film.path]], masking.size)
            _, h2 = steps.stage2(network, batch.x, batch.field)
            return np.asarray((h2[0, 0].numpy() * 255.0).round(), dtype=np.uint8)

        return cache.kept(
            folder, "h2", self.films, masking.size, one, masking.key + masking.digest(weights)
        )

    def _batch(self, layers: Tensor, film: Tensor, margins: Sequence[int | None]) -> Batch:
        """Mask and standardise."""
        field, area, infection = ((layers[:, i : i + 1] > 0.5).float() for i in (1, 2, 3))
        scale = film.shape[-1] / self.masking.size
        inside = torch.cat(
            [
                one
                if margin is None
                else preprocess.dilate(lungs, max(1, round(margin * scale))) * one
                for one, lungs, margin in zip(
                    torch.split(area, 1), torch.split(field, 1), margins, strict=True
                )
            ]
        )
        x = preprocess.mask_film(film, inside, 0).contiguous(memory_format=torch.channels_last)
        return Batch(x=x, field=field, infection=infection, h2=layers[:, 4:5])


def masked_films(films: Sequence[Film], masking: Masking, folder: Path) -> Tensor:
    """Films as stage 2 sees them in the node.

    Parameters
    ----------
    films
        N films.
    masking
        Stage 1's weights, margin and size S.
    folder
        Of the cache, see `cache.kept`.

    Returns
    -------
    Tensor
        (N, 1, S, S) float16, in standard deviations.
    """
    shown = Shown(films, masking, folder)
    parts = [list(range(i, min(i + 64, len(films)))) for i in range(0, len(films), 64)]
    return torch.cat([shown.plain(part, masking.size).x.half() for part in parts])


def shrink(masked: Tensor, size: int) -> Tensor:
    """Masked films (N, 1, S, S) at another side, antialiased: (N, 1, size, size) float16."""
    if masked.shape[-1] == size:
        return masked
    small = [
        functional.interpolate(
            part.float(), (size, size), mode="bilinear", antialias=True, align_corners=False
        ).half()
        for part in torch.split(masked, 64)
    ]
    return torch.cat(small)
