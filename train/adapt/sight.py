"""Films by the node's own steps, up to the tail of a stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from dicom_node.domain.reading import Stage
from models import preprocess, steps
from models.cascade import Cascade
from models.classifier import ChestClassifier
from train.adapt import tail
from train.data.films import load_pixels


def network_of(cascade: Cascade, stage: Stage) -> ChestClassifier:
    """The network of stage 2 or 3."""
    return cascade.pneumonia if stage == "pneumonia" else cascade.covid19


@torch.inference_mode()
def look(cascade: Cascade, stage: Stage, image: NDArray[np.float32]) -> Tensor:
    """What a stage sees of one film, (H, W) in [0, 1], before its tail: (places, channels).

    Stage 3 runs whatever stage 2 decides.
    """
    film, settings = cascade.mask(image), cascade.settings
    shown = film.masked
    if stage == "covid19":
        maps = cascade.pneumonia.features(shown)
        h2 = steps.heat(cascade.pneumonia, maps, film.field, settings.h2)
        shown = preprocess.gate(shown, h2, settings.h2_floor)
    return tail.places(network_of(cascade, stage), shown)[0]


def see(cascade: Cascade, stage: Stage, paths: Sequence[Path]) -> Tensor:
    """`look` at films: (N, places, channels) float16, in the order of ``paths``, at least one."""
    shown = track(paths, f"films, {stage}")
    return torch.stack([look(cascade, stage, load_pixels(path)).half() for path in shown])
