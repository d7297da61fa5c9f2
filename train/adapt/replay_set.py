"""What the shipped network made of public films: a few places of each, so that none is forgotten.

It holds numbers, and no film can be made of them: a place is 432 numbers for a square of 16 x 16
pixels, and of a film's 256 places eight are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel
from rich.progress import track
from torch import Tensor

from models import registry
from models.cascade import Cascade
from models.reading import ModelIdentity
from train.adapt import tail
from train.data.films import NORMAL, load_pixels, read_films
from train.data.sampler import spread_kinds
from train.files import replacing

NAME = "replay.npz"
_SOURCES = ("nih", "quex")  # what stage 2 learned from
_FILMS = 24  # of each source and label
_PLACES = 8  # of each film
_LEVELS = 127
_SEED = 20260101  # of the places


class NoReplaySet(Exception):
    """There is no replay set for these weights."""


class Origin(BaseModel):
    """Which networks made a replay set, and with which command."""

    version: str
    lungs: str  # SHA-256 of the weights, hex
    pneumonia: str
    films: int
    command: str

    @classmethod
    def of(cls, networks: ModelIdentity, films: int) -> Origin:
        """Of these networks."""
        return cls(
            version=networks.version, lungs=networks.digests["lungs"],
            pneumonia=networks.digests["pneumonia"], films=films,
            command="python -m train replay-set",
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySet:
    """Places of public films, (N, 8, C), and which of the films show pneumonia, (N,)."""

    places: Tensor
    ill: Tensor


def make(cascade: Cascade, data: Path, into: Path) -> Path:
    """Write the replay set of a models directory from the training films of a data folder.

    Parameters
    ----------
    cascade
        The networks of the directory.
    data
        Folder with films and manifest.
    into
        Models directory.

    Returns
    -------
    Path
        ``into/replay.npz``: places in 8 bits, their scales, which films are ill, the digest of the
        weights before the tail, and `Origin`.
    """
    known = [f for f in read_films(data, ("train",)) if f.source in _SOURCES]
    films = spread_kinds(known, _FILMS)
    generator = torch.Generator().manual_seed(_SEED)
    rows = []
    for film in track(films, "replay set"):
        seen = tail.places(cascade.pneumonia, cascade.mask(load_pixels(film.path)).masked)[0]
        some = torch.randperm(len(seen), generator=generator)[:_PLACES]
        rows.append(seen[some])
    places = torch.stack(rows)
    scale = places.abs().amax(dim=(0, 1)).clamp(min=1e-6) / _LEVELS
    with replacing(into / NAME) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            places=(places / scale).round().to(torch.int8).numpy(),
            scale=scale.half().numpy(),
            ill=np.array([film.label != NORMAL for film in films]),
            front=np.array(tail.front_digest(cascade.pneumonia)),
            origin=np.array(Origin.of(cascade.identity, len(films)).model_dump_json()),
        )
    return into / NAME


def origin(path: Path) -> Origin:
    """Which networks made a replay set; raises KeyError if the set does not say."""
    with np.load(path, allow_pickle=False) as kept:
        return Origin.model_validate_json(str(kept["origin"]))


def read(directory: Path, cascade: Cascade) -> ReplaySet:
    """Read the replay set of a models directory, or the shipped one that fits its weights.

    Raises
    ------
    NoReplaySet
        None was made from a network whose first layers are these.
    """
    wanted = tail.front_digest(cascade.pneumonia)
    for folder in (directory, *registry.SHIPPED.values()):
        path = folder / NAME
        if not path.exists():
            continue
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["front"]) == wanted:
                places = torch.from_numpy(kept["places"]).float()
                scale = torch.from_numpy(kept["scale"]).float()
                return ReplaySet(places=places * scale, ill=torch.from_numpy(kept["ill"]))
    raise NoReplaySet(
        f"{directory} has no {NAME} made from its network: `python -m train replay-set --data DIR "
        f"--to {directory}`"
    )
