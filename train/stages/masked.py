"""The frozen earlier stages as the later ones use them in training."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models import registry, unet
from models.classifier import ChestClassifier
from models.manifest import Backbone
from models.unet import LungUNet
from train.data import cache
from train.data.films import Film
from train.weights import frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    """Stage 1's weights, and how what it finds is used."""

    weights: Path  # state dict of the LungUNet
    size: int = 256  # side of the frame that films are kept at, the node's
    margin: int | None = 6  # the node's, pixels at ``size``; None: the whole film
    threshold: float = 0.5
    backbone: Backbone = "densenet121"

    @property
    def key(self) -> str:
        """Name everything that masked films depend on."""
        return f"{self.digest(self.weights)} {self.size} {self.margin} {self.threshold} " + (
            self.backbone
        )

    @staticmethod
    def digest(weights: Path) -> str:
        """SHA-256 of a weights file, hex."""
        return hashlib.sha256(weights.read_bytes()).hexdigest()

    def classifier(self, weights: Path) -> ChestClassifier:
        """Load a trained classifier of this backbone, for use as it is."""
        return frozen(registry.classifier(self.backbone), weights)

    def fields(
        self, films: Sequence[Film], pictures: cache.Pictures, areas: cache.Pictures, folder: Path
    ) -> cache.Pictures:
        """Find the lung fields by stage 1, once.

        Parameters
        ----------
        films
            N films.
        pictures, areas
            Of these films at side `size`, from `cache.pictures` and `cache.areas`: (N, S, S).
        folder
            Of the cache, see `cache.kept`.

        Returns
        -------
        array
            Zeros and ones, (N, S, S) uint8; a memory map.
        """
        network = frozen(LungUNet(), self.weights)
        places = {film.path: i for i, film in enumerate(films)}

        @torch.inference_mode()
        def one(film: Film) -> cache.Pictures:
            i = places[film.path]
            x = torch.from_numpy(pictures[i] / np.float32(255))[None, None]
            masks = unet.masks(network(x)[0], areas[i] > 0, self.threshold)
            return masks[unet.FIELD].astype(np.uint8)

        key = f"{self.digest(self.weights)} {self.threshold}"
        return cache.kept(folder, "fields", films, self.size, one, key)
