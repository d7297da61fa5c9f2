"""Convert the YAML of a run to the objects that training takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from train.export import Release
from train.schedule import Phase, Schedule
from train.stages.masked import Masking
from train.stages.recipe import Group, Recipe
from train.stages.stage1_lungs import CONVENTIONS, LungGroup

#: The configurations that `train all` uses.
CONFIGS = Path(__file__).parent / "configs"


def read(path: Path) -> dict[str, Any]:
    """Read a YAML file."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def schedule(raw: dict[str, Any]) -> Schedule:
    """Read the schedule: phases, steps and learning rates."""
    fields = dict(raw["schedule"])
    return Schedule(phases=tuple(Phase(**phase) for phase in fields.pop("phases")), **fields)


def lung_groups(raw: dict[str, Any]) -> tuple[LungGroup, ...]:
    """Read which films teach stage 1, in which shares."""
    return (
        tuple(
            LungGroup(
                sources=tuple(one.get("sources", ())),
                labels=tuple(one.get("labels", ())),
                share=float(one.get("share", 1.0)),
            )
            for one in raw.get("groups", ())
        )
        or CONVENTIONS
    )


def recipe(raw: dict[str, Any]) -> Recipe:
    """Read the recipe of stages 2 and 3: groups, shares and teachers."""
    fields = dict(raw["recipe"])
    groups = tuple(
        Group(**group | {"sources": tuple(group["sources"])}) for group in fields.pop("groups")
    )
    previous = fields.pop("previous", None) or ()
    paths = [previous] if isinstance(previous, str) else previous
    several: dict[str, Any] = {
        name: tuple(fields.pop(name))
        for name in ("original", "margins", "floors")
        if name in fields
    }
    return Recipe(groups=groups, previous=tuple(map(Path, paths)), **several, **fields)


def masking(raw: dict[str, Any], lungs: Path) -> Masking:
    """Read how stage 1, whose weights are at ``lungs``, is used by the later stages."""
    return Masking(
        weights=lungs,
        size=int(raw.get("size", 256)),
        margin=raw["mask_margin"],
        backbone=raw.get("backbone", "densenet121"),
    )


def release(
    raw: dict[str, Any], weights: dict[str, Path], without: tuple[str, ...], measured: bool
) -> Release:
    """Read what to export.

    Parameters
    ----------
    raw
        The content of ``configs/export.yaml``.
    weights
        Network -> state dict; these win over the file's.
    without
        Sources that are not measured.
    measured
        Whether the cards are measured now.
    """
    networks = raw["networks"]
    return Release(
        version=str(raw["version"]),
        mask_margin=raw["mask_margin"],
        backbone=raw.get("backbone", "densenet121"),
        size=int(raw.get("size", 256)),
        h2_floor=float(raw.get("h2_floor", 0.0)),
        weights={name: Path(one["weights"]) for name, one in networks.items()} | weights,
        history={name: str(one["history"]).strip() for name, one in networks.items()},
        sources={name: tuple(one["sources"]) for name, one in networks.items()},
        without=without,
        measured=measured,
    )


def history(name: str, raw: dict[str, Any]) -> str:
    """How a run made its weights, in words for a card.

    Parameters
    ----------
    name
        Of the command: stage1, stage2 or stage3.
    raw
        The content of the run's YAML.
    """
    if "made" in raw:  # by more than one run, or by another program: in its own words
        return str(raw["made"]).strip()
    if "refit" in raw:
        return (
            f"Made by `python -m train {name}`: stage 2's network as it is, only its last layer "
            "(1024 weights and a bias) fitted again, by L2 logistic regression on the pooled "
            "features of the masked training films times H2, every group of films "
            "weighing the same; the strength of L2 with the best validation score."
        )
    how = schedule(raw)
    phases = ", then ".join(
        f"{p.steps} batches of {p.batch} at {p.size} x {p.size}" for p in how.phases
    )
    return (
        f"Made by `python -m train {name}`: {phases}; seed {how.seed}, precision "
        f"{how.precision}. The running average with the best validation score of the last phase."
    )
