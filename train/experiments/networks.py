"""The networks of an experiment: where their weights are, and their logits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from models import registry
from train.data.films import Film
from train.experiments.result import Run
from train.files import kept_array
from train.stages.masked import Masking
from train.weights import frozen_classifier

#: Keys of a YAML that concern the table, not one training.
_OF_THE_TABLE = ("tunes", "baseline", "draws")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Weights on disk, as training reads them."""

    path: Path
    digest: str  # SHA-256, of the shipped file where it is shipped


def given(run: Run, name: str) -> Network:
    """Find a network's weights: the file named on the command line, else the models' own.

    Parameters
    ----------
    run
        The experiment; the models' own weights are written to ``run.out/NAME.pt``.
    name
        lungs, pneumonia or covid19.
    """
    if path := run.weights.get(name):
        return Network(path=path, digest=registry.sha256_of(path))
    cascade = run.cascade()
    path = run.out / f"{name}.pt"
    run.out.mkdir(parents=True, exist_ok=True)
    torch.save(getattr(cascade, name).state_dict(), path)
    return Network(path=path, digest=cascade.identity.digests[name])


def masking(run: Run, lungs: Network) -> Masking:
    """Read how films are masked, from the experiment's YAML."""
    return Masking(weights=lungs.path, **run.config["masking"])


def work(run: Run, name: str, recipe: dict[str, Any], *networks: Network) -> Path:
    """Name a training's folder by everything it depends on, so that it resumes no other.

    Parameters
    ----------
    run
        The experiment.
    name
        Of the training; begins the folder's name.
    recipe
        Its part of the YAML.
    *networks
        Weights it starts from or uses.
    """
    shared = {key: value for key, value in run.config.items() if key not in _OF_THE_TABLE}
    traits = [recipe, shared, *(network.digest for network in networks)]
    digest = hashlib.sha256(json.dumps(traits, sort_keys=True).encode()).hexdigest()
    return run.out / f"{name}-{digest[:12]}"


@torch.inference_mode()
def logits(
    weights: Path, films: Sequence[Film], x: torch.Tensor, folder: Path
) -> NDArray[np.float64]:
    """Logits of a classifier, kept on disk.

    Parameters
    ----------
    weights
        A state dict of either backbone.
    films, x
        N films, and the network's input of each: (N, 1, S, S).
    folder
        Of the cache. Its file is named by the weights, the films' paths and the shape of ``x``, not
        by the pixels: films that are masked otherwise need other weights or another folder.

    Returns
    -------
    array
        (N,).
    """
    digest = hashlib.sha256(weights.read_bytes())
    digest.update(f"{tuple(x.shape)} {[str(film.path) for film in films]}".encode())

    def make() -> NDArray[np.float64]:
        network = frozen_classifier(weights)
        return np.array([network(film[None].float()).item() for film in track(x, "films")])

    return kept_array(folder / f"logits-{digest.hexdigest()[:16]}.npy", make)
