"""Teach the gate's network: a base without laterals, then one for each fold and one for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.progress import track
from safetensors.torch import load_file

from models.gate import GateNet
from train import settings
from train.data.image_io import load_pixels
from train.data.manifest import Row
from train.gate import classifier, negatives
from train.gate.classifier import Films
from train.loop import fit
from train.weights import started


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """The network to ship, and for every lateral film one that was taught without its patient."""

    network: GateNet
    without: dict[str, GateNet]  # path of a lateral film -> network
    training: list[Row]


def learn(rows: Sequence[Row], data: Path, raw: dict[str, Any], out: Path) -> Learned:
    """Train the gate's networks.

    Parameters
    ----------
    rows
        Of the manifest: frontal films of the sources in ``raw`` and all laterals teach.
    data
        Folder of the films.
    raw
        The content of ``configs/gate.yaml``.
    out
        Folder of the run; what is finished there is taken as it is.
    """
    frontal = classifier.frontal_to_learn_from(rows, raw["sources"])
    lateral = [row for row in rows if classifier.is_lateral(row)]
    others = [classifier.small(picture) for picture in negatives.package_pictures()]
    check = [row for row in rows if row.split == "val" and row.source in raw["sources"]]
    films = Films(frontal=_load(frontal, data), lateral=_load(lateral, data), other=others)
    checked = Films(frontal=_load(check, data), lateral=films.lateral, other=others)
    task = classifier.GateTask(GateNet(), replace(films, lateral=[]), checked)
    base = fit(task, settings.schedule({"schedule": raw["base"]}), out / "base")

    def finish(name: str, kept: Sequence[bool]) -> GateNet:
        pictures = [film for film, keep in zip(films.lateral, kept, strict=True) if keep]
        some = replace(films, lateral=pictures)
        task = classifier.GateTask(started(GateNet(), base), some, checked)
        schedule = settings.schedule({"schedule": raw["laterals"]})
        return started(GateNet(), fit(task, schedule, out / name))

    folds = _folds(lateral, int(raw["folds"]))
    networks = [finish(f"fold{i}", [fold != i for fold in folds]) for i in range(max(folds) + 1)]
    return Learned(
        network=finish("all", [True] * len(lateral)),
        without={row.path: networks[fold] for row, fold in zip(lateral, folds, strict=True)},
        training=frontal + lateral,
    )


def kept(rows: Sequence[Row], network: Path) -> Learned:
    """Take a gate's network as it is; its laterals are those it learned from.

    Parameters
    ----------
    rows
        Of the manifest.
    network
        Its weights, safetensors.
    """
    state = load_file(network)
    whole = GateNet()
    whole.load_state_dict({name: value.float() for name, value in state.items()})
    lateral = [row for row in rows if classifier.is_lateral(row)]
    return Learned(network=whole, without={row.path: whole for row in lateral}, training=lateral)


def _folds(rows: Sequence[Row], count: int) -> list[int]:
    """A fold for each film, one for all films of a patient."""
    groups = sorted({row.group for row in rows})
    return [groups.index(row.group) % count for row in rows]


def _load(rows: Sequence[Row], data: Path) -> list[negatives.Picture]:
    return [classifier.small(load_pixels(data / row.path)) for row in track(rows, "films")]
