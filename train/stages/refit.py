"""Refit only a classifier's last layer, on its own features, for sets of few films."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from models.classifier import ChestClassifier
from train.evaluation import linear
from train.evaluation.linear import Line
from train.files import replacing
from train.stages.stage2_pneumonia import within_and_pooled
from train.stages.stage3_covid import CovidTask


def refit(task: CovidTask, ridges: Sequence[float], out: Path) -> Path:
    """Fit the last layer for each ridge, and write the weights with the best validation score.

    Every group of the recipe weighs the same. The features come from the task's network on films
    of full size, without augmentation, so nothing here is random.

    Parameters
    ----------
    task
        Its network keeps all other weights.
    ridges
        Strengths of L2 to try, see `linear.fit`.
    out
        Folder of the run.

    Returns
    -------
    Path
        ``out/best.pt``, a state dict of the whole network.
    """
    x = pooled(task)
    weights = np.zeros(len(x))
    for group in task.groups:
        weights[group] += 1.0 / len(group)
    positive = task.targets(task.films).numpy() > 0
    train = np.array([film.split == "train" for film in task.films])
    tried = []
    for ridge in ridges:
        line = linear.fit(x[train], positive[train], ridge, weights[train])
        numbers = within_and_pooled(
            line.score(x[~train]), positive[~train],
            [film for film in task.films if film.split != "train"], task.recipe.within,
        )  # fmt: skip
        print(" ".join(f"{k}={v:.4g}" for k, v in ({"ridge": ridge} | numbers).items()))
        tried.append((numbers["score"], line))
    best = max(tried, key=lambda one: one[0])[1]
    with replacing(out / "best.pt") as part:
        torch.save(_with_last_layer(task.network, best), part)
    return out / "best.pt"


@torch.inference_mode()
def pooled(task: CovidTask) -> NDArray[np.float64]:
    """Features after global average pooling of all films of a task, unaugmented: (N, 1024)."""
    network = task.network.eval()
    rows = []
    for i in track(range(len(task.films)), "films"):
        x = task.seen(task.shown.plain([i], task.masking.size))
        rows.append(network.features(x).mean((2, 3))[0].numpy())
    return np.stack(rows).astype(np.float64)


def _with_last_layer(network: ChestClassifier, line: Line) -> dict[str, Tensor]:
    """Return the weights with the fitted line as last layer (standardisation folded in)."""
    weight = line.weights / line.deviation
    state = dict(network.state_dict())
    state["out.weight"] = torch.from_numpy(weight)[None].float()
    state["out.bias"] = torch.tensor([line.bias - float(weight @ line.mean)])
    return state
