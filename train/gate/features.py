"""What stages 1 and 2 make of films, for the gate: lungs, and pooled features, kept on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from dicom_node.gate.measures import lungs_at_edge
from models import cascade as steps
from models import preprocess, unet
from models.cascade import Cascade
from train.data.image_io import load_pixels
from train.evaluation.evaluate import fingerprint

_EVERY = 50  # films between two writings; what a kill may cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One film after stages 1 and 2."""

    lung_area: float
    lungs_at_edge: float
    features: NDArray[np.float32]  # (1024,), pooled


def see(cascade: Cascade, paths: Sequence[Path], folder: Path) -> list[Seen]:
    """Run stages 1 and 2 on every film; what this very cascade saw before is read from disk."""
    store = folder / f"seen-{fingerprint(cascade, (_row, lungs_at_edge))}.npz"
    known: dict[str, NDArray[np.float32]] = {}
    if store.exists():
        with np.load(store) as content:
            known = dict(content)
    fresh = 0
    for path in track(paths, "films"):
        if str(path) not in known:
            known[str(path)] = _row(cascade, path)
            fresh += 1
            if fresh % _EVERY == 0:
                _write(store, known)
    _write(store, known)
    rows = [known[str(path)] for path in paths]
    return [
        Seen(lung_area=float(row[0]), lungs_at_edge=float(row[1]), features=row[2:]) for row in rows
    ]


@torch.inference_mode()
def _row(cascade: Cascade, path: Path) -> NDArray[np.float32]:
    settings = cascade.settings
    pixels, frame = preprocess.to_network(load_pixels(path), settings.size)
    x, area = torch.from_numpy(pixels)[None, None], preprocess.film_area(frame)
    lungs = steps.lung_masks(steps.stage1(cascade.lungs, x), [area], settings.lung_threshold)
    x_masked = steps.masked(x, lungs, settings.mask_margin, [area])
    pooled = cascade.pneumonia.features(x_masked).mean(dim=(2, 3))[0]
    edge = lungs_at_edge(frame.crop(lungs[0, unet.AERATED].numpy()))
    share = float(lungs[0, unet.FIELD].sum() / area.sum())
    return np.array([share, edge, *pooled.tolist()], np.float32)


def _write(path: Path, known: dict[str, NDArray[np.float32]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(unfinished, **known)  # type: ignore[arg-type]
    unfinished.replace(path)
