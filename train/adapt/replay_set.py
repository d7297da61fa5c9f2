"""What the shipped networks made of public films: a few places of each, so that none is forgotten.

It holds numbers, and no film can be made of them: a place is 432 numbers for a square of 16 x 16
pixels, and of a film's 256 places eight are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel
from rich.progress import track
from torch import Tensor

from dicom_node.domain.reading import Stage
from models import registry
from models.cascade import Cascade
from models.reading import ModelIdentity
from train.adapt import tail
from train.adapt.sight import look, network_of
from train.data.films import NORMAL, Film, load_pixels, read_films
from train.data.sampler import spread_kinds
from train.files import replacing

NAME = "replay.npz"
#: What each stage learned from.
SOURCES: dict[Stage, tuple[str, ...]] = {
    "pneumonia": ("nih", "quex"),
    "covid19": ("nih", "quex", "ieee8023", "bimcv", "hannover"),
}
_FILMS: dict[Stage, int] = {"pneumonia": 24, "covid19": 12}  # of each source and label
_PLACES = 8  # of each film
_LEVELS = 31  # on either side of zero; the file is a third smaller than with 127
_SEED = 20260101  # of the places


class NoReplaySet(Exception):
    """There is no replay set for these weights."""


class Origin(BaseModel):
    """Which networks made a replay set, and with which command."""

    version: str
    digests: dict[str, str]  # network -> SHA-256 of the weights, hex
    films: dict[Stage, int]
    command: str

    @classmethod
    def of(cls, networks: ModelIdentity, films: dict[Stage, int]) -> Origin:
        """Of these networks."""
        digests = {name: networks.digests[name] for name in ("lungs", "pneumonia", "covid19")}
        return cls(
            version=networks.version, digests=digests, films=films,
            command="python -m train replay-set",
        )  # fmt: skip


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
        ``into/replay.npz``: of each stage the places in 8 bits, their scales, and the digest of the
        weights before the tail; and `Origin`.
    """
    parts, counts = {}, {}
    for stage in SOURCES:
        films = chosen(data, "train", stage, _FILMS[stage])
        counts[stage] = len(films)
        places, scale = _rounded(_some_places(cascade, stage, films))
        parts[f"{stage}_places"], parts[f"{stage}_scale"] = places.numpy(), scale.numpy()
        parts[f"{stage}_front"] = np.array(tail.front_digest(network_of(cascade, stage)))
    parts["origin"] = np.array(Origin.of(cascade.identity, counts).model_dump_json())
    with replacing(into / NAME) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **parts)
    return into / NAME


def chosen(data: Path, split: str, stage: Stage, most: int) -> list[Film]:
    """Public films that a stage knows, at most so many of each source and label."""
    films = [film for film in read_films(data, (split,)) if film.source in SOURCES[stage]]
    if stage == "covid19":
        films = [film for film in films if film.label != NORMAL]
    return spread_kinds(films, most)


def _some_places(cascade: Cascade, stage: Stage, films: Sequence[Film]) -> Tensor:
    """A few places of each film, (N, places, channels)."""
    generator = torch.Generator().manual_seed(_SEED)
    rows = []
    for film in track(films, f"replay set, {stage}"):
        seen = look(cascade, stage, load_pixels(film.path))
        rows.append(seen[torch.randperm(len(seen), generator=generator)[:_PLACES]])
    return torch.stack(rows)


def _rounded(places: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers, and the scale of each channel."""
    scale = places.abs().amax(dim=(0, 1)).clamp(min=1e-6) / _LEVELS
    return (places / scale).round().to(torch.int8), scale.half()


def origin(path: Path) -> Origin:
    """Which networks made a replay set; raises KeyError if the set does not say."""
    with np.load(path, allow_pickle=False) as kept:
        return Origin.model_validate_json(str(kept["origin"]))


def read(directory: Path, cascade: Cascade, stage: Stage) -> Tensor:
    """Read a stage's replay set of a models directory, or the shipped one that fits its weights.

    Returns
    -------
    Tensor
        Places of public films, (N, 8, channels) float32.

    Raises
    ------
    NoReplaySet
        None was made from a network whose first layers are these.
    """
    wanted = tail.front_digest(network_of(cascade, stage))
    for folder in (directory, *registry.SHIPPED.values()):
        path = folder / NAME
        if not path.exists():
            continue
        with np.load(path, allow_pickle=False) as kept:
            if str(kept.get(f"{stage}_front")) == wanted:
                places = torch.from_numpy(kept[f"{stage}_places"]).float()
                return places * torch.from_numpy(kept[f"{stage}_scale"]).float()
    raise NoReplaySet(
        f"{directory} has no {NAME} made from its network: `python -m train replay-set --data DIR "
        f"--to {directory}`"
    )
