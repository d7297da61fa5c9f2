"""Table 5: stage 2 fine-tuned on a hospital it never saw, with paper eq. 2; what it forgets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.densenet import ChestDenseNet
from train import settings
from train.data.films import Film, read_films
from train.data.sampler import spread_kinds
from train.evaluation.metrics import Interval
from train.evaluation.plots import intervals
from train.experiments import networks
from train.experiments.last_block import LastBlock, LastBlockTask, maps_before
from train.experiments.result import Result, Run
from train.experiments.sample import normal_or_ill
from train.loop import fit
from train.stages.masked import Masking
from train.stages.shown import masked_films, shrink
from train.stages.stage2_pneumonia import data_cache
from train.weights import started

_SETS = {"kermany": ("kermany",), "NIH alone": ("nih",), "NIH + quex": ("nih", "quex")}
_SOURCES = ("kermany", "nih", "quex")
_NEW, _OLD = "kermany", "NIH + quex"
_PAPER = {"before": "93.94 / 96.72", "distilled": "98.70 / 96.64"}
_BEFORE = "before"


def table5(run: Run) -> Result:
    """Fine-tune the last block once for each entry of `tunes`; test before and after."""
    lungs, start = networks.given(run, "lungs"), networks.given(run, "pneumonia")
    masking, schedule = networks.masking(run, lungs), settings.schedule(run.config)
    # "val" too, for these are the films that stage 2's own training keeps masked.
    old, maps = _maps(run, masking, start.path, ("train", "val"), run.config["most"])
    films, x = _maps(run, masking, start.path, ("test",), sys.maxsize)
    scores, paper = {_BEFORE: _last_block(start.path).answers(x)}, {_BEFORE: _PAPER["before"]}
    for name, raw in run.config["tunes"].items():
        recipe, previous = settings.recipe({"recipe": raw}), _last_block(start.path)
        network = _last_block(start.path)
        task = LastBlockTask(network, previous, old, maps, recipe)
        best = fit(task, schedule, networks.work(run, name, raw, lungs, start))
        scores[name] = started(network, best).answers(x)
        paper[name] = _PAPER["distilled"] if recipe.distil else "-"
    numbers = _numbers(films, scores, run.config["baseline"], run.config["draws"])
    intervals(
        {name: {part: row[part] for part in _SETS} for name, row in numbers.items()},
        "AUC", run.docs / f"{run.name}.svg",
    )  # fmt: skip
    return Result(
        title="Stage 2 fine-tuned on an unseen hospital with eq. 2 (paper, Table 5)",
        head=("stage 2", *(f"AUC, {name}" for name in _SETS), "old set: sensitivity / specificity",
              "old AUC lost since before", f"old AUC kept against '{run.config['baseline']}'",
              "old answers moved by", "paper's AUC, %: clinical / open"),
        rows=[_cells(name, row, paper[name]) for name, row in numbers.items()],
        numbers=numbers,
        digests={"lungs": lungs.digest, "pneumonia, before": start.digest},
        says=_says(run, len(old), sum(p.steps * p.batch for p in schedule.phases)),
    )  # fmt: skip


def _maps(
    run: Run, masking: Masking, weights: Path, splits: tuple[str, ...], most: int
) -> tuple[list[Film], Tensor]:
    """Films that teach or test, and what the frozen part of the network makes of them."""
    films = [film for film in read_films(run.data, splits) if film.source in _SOURCES]
    kept = spread_kinds([film for film in films if film.split != "val"], most)
    places = {film: i for i, film in enumerate(films)}
    x = masked_films(films, masking, data_cache(masking))[[places[film] for film in kept]]
    network = started(ChestDenseNet(), weights)
    return kept, maps_before(network, shrink(x, run.config["size"]), run.out / "maps")


def _last_block(weights: Path) -> LastBlock:
    return LastBlock(started(ChestDenseNet(), weights))


def _numbers(
    films: Sequence[Film], scores: dict[str, NDArray[np.float64]], baseline: str, draws: int
) -> dict[str, dict[str, Interval]]:
    """Everything about every network; paired against the one before and against the baseline."""
    sets = normal_or_ill(films, _SETS, draws)
    old = sets[_OLD]
    parts: dict[str, Callable[[NDArray[np.float64]], Interval]] = {
        **{name: one.auc for name, one in sets.items()},
        "sensitivity": lambda z: old.recalled(z, positive=True),
        "specificity": lambda z: old.recalled(z, positive=False),
        "lost": lambda z: old.gain(scores[_BEFORE], z),
        "kept": lambda z: old.gain(z, scores[baseline]),
        "moved": lambda z: old.moved(z, scores[_BEFORE]),
        "gained": lambda z: sets[_NEW].gain(z, scores[_BEFORE]),
    }
    return {name: {part: f(z) for part, f in parts.items()} for name, z in scores.items()}


def _cells(name: str, row: dict[str, Interval], paper: str) -> tuple[str, ...]:
    return (
        name, *(str(row[part]) for part in _SETS),
        f"{row['sensitivity']} / {row['specificity']}",
        str(row["lost"]), str(row["kept"]), str(row["moved"]), paper,
    )  # fmt: skip


def _says(run: Run, films: int, draws: int) -> str:
    return (
        "Only the last dense block and the last layer are learned, a third of the weights: on two "
        f"CPU cores the rest is taken as it is, its maps kept. {films} training films (at most "
        f"{run.config['most']} of each source and label), {draws} draws of them for every network; "
        f"all rows are tested at {run.config['size']} px on the masked film, and nothing was "
        "selected on test films. 'new-only' learns from the new hospital alone; of the others' "
        "draws a third are old films, and lambda weighs eq. 2's distillation on those. "
        "Sensitivity and specificity are at probability 1/2; 'moved' is the mean absolute change "
        "of the probability on the old set. The new hospital's patients are children: age and "
        "hospital change together, and its border alone separates its normal films from "
        "its pneumonias with an AUC of about 0.94. The paper's clinical set is another "
        "(NTUH + TMUH)."
        f"\n\n![AUC of every network on every set]({run.name}.svg)"
    )
