"""Lungs and pooled features of films by stages 1 and 2, for the gate; kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dicom_node.gate.measures import lungs_at_edge
from models import unet
from models.cascade import Cascade
from train.data.image_io import load_pixels
from train.evaluation import store
from train.evaluation.store import Arrays, Measure

_SEEN = Measure(name="seen", version=1, networks=("lungs", "pneumonia"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One film after stages 1 and 2."""

    lung_area: float  # share of the film that is lung field, in [0, 1]
    lungs_at_edge: float  # share of the film's sides that touch lung, in [0, 1]
    features: NDArray[np.float32]  # (1024,), stage 2's pooled features


def see(cascade: Cascade, paths: Sequence[Path], folder: Path) -> list[Seen]:
    """Run stages 1 and 2 on films, or read what ``folder`` holds of them.

    Returns
    -------
    list of Seen
        One for each path, in order.
    """
    return [
        Seen(
            lung_area=float(row["lung_area"]),
            lungs_at_edge=float(row["lungs_at_edge"]),
            features=row["features"],
        )
        for row in store.arrays(_SEEN, cascade, paths, _of_film, folder)
    ]


@torch.inference_mode()
def _of_film(cascade: Cascade, path: Path) -> Arrays:
    seen = cascade.mask(load_pixels(path))
    aerated = seen.lungs[0, unet.AERATED].numpy()
    return {
        "lung_area": np.array(seen.lung_share, np.float32),
        "lungs_at_edge": np.array(lungs_at_edge(seen.frame.crop(aerated)), np.float32),
        "features": cascade.pneumonia.features(seen.masked).mean(dim=(2, 3))[0].numpy(),
    }
