"""Table 6: stage 3 alone fine-tuned on a hospital, stages 1 and 2 as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from train.data.films import COVID, PNEUMONIA, Film, read_films
from train.evaluation.border_baseline import ring
from train.evaluation.comparisons import labelled
from train.evaluation.metrics import Interval
from train.evaluation.plots import intervals
from train.experiments import networks
from train.experiments.features import (
    LEARNED,
    TESTED,
    UNUSED,
    Floats,
    features,
    folds,
    held_out,
)
from train.experiments.result import Result, Run
from train.experiments.sample import Sample, sample

_PAPER = "81.82 / 80.45"
_NEW, _OLD = "hannover / pneumonias of ieee8023 + NIH", "ieee8023 alone"


def table6(run: Run) -> Result:
    """Learn the last layer with and without the new hospital's COVID-19, test on both."""
    lungs, stage2 = networks.given(run, "lungs"), networks.given(run, "pneumonia")
    masking, size = networks.masking(run, lungs), run.config["size"]
    gated: dict[Film, Floats] = {}
    for part in _by_source(read_films(run.data)):
        rows = features(part, masking, stage2.path, size)["CAM"]
        gated |= dict(zip(part, rows, strict=True))
    films = _kept(list(gated))
    x = {
        "stage 3": np.stack([gated[film] for film in films]),
        "border ring": np.stack([ring(film.path) for film in films]),
    }
    sets = _sets(films, run.config["draws"])
    numbers = {}
    for network, rows in x.items():
        before, after = (_score(run, films, rows, tuned=tuned) for tuned in (False, True))
        numbers[f"{network}, before"] = _numbers(sets, before, before)
        numbers[f"{network}, fine-tuned"] = _numbers(sets, after, before)
    plotted = {
        name: {part: row[part] for part in ("sensitivity", "specificity", _OLD)}
        for name, row in numbers.items()
    }
    intervals(plotted, "share, AUC", run.docs / f"{run.name}.svg")
    counts = {name: f"{(~s.positive).sum()} / {s.positive.sum()}" for name, s in sets.items()}
    return Result(
        title="Stage 3 alone fine-tuned on an unseen hospital (paper, Table 6)",
        head=("last layer", f"sensitivity, hannover ({sets[_NEW].positive.sum()})",
              "specificity, the others' pneumonias", f"AUC of these ({counts[_NEW]})",
              f"AUC, {_OLD} ({counts[_OLD]})", "the latter lost since before",
              "paper, NHIA: sensitivity / specificity, %"),
        rows=[(name, *map(str, row.values()), _PAPER) for name, row in numbers.items()],
        numbers=numbers,
        digests={"lungs": lungs.digest, "pneumonia": stage2.digest},
        says="The paper's hospital had both kinds of pneumonia; hannover, an intensive care unit, "
        "has COVID-19 only, and its negatives here are other hospitals' pneumonias. So "
        "sensitivity is all that is learned about hannover itself: its AUC against other "
        "hospitals is one of scanners as much as of disease, which the border ring's rows (a "
        "logistic regression on the film's rim that never sees a lung) show. The honest column is "
        "the one within ieee8023, where fine-tuning can only hurt or not. hannover's films that "
        "ieee8023 holds as well are left out here; patients are held out by cross-validation in "
        "ieee8023 and by the split elsewhere. 'Before' learned from ieee8023 and NIH, fine-tuned "
        f"from hannover too; {run.config['size']} px, probability 1/2 decides."
        f"\n\n![Both last layers, and the ring's]({run.name}.svg)",
    )  # fmt: skip


def _by_source(films: Sequence[Film]) -> list[list[Film]]:
    wanted: tuple[Callable[[Film], bool], ...] = (
        labelled((PNEUMONIA, COVID), "ieee8023"),
        labelled((PNEUMONIA,), "nih"),
        labelled((COVID,), "hannover"),
    )
    return [[film for film in films if test(film)] for test in wanted]


def _kept(films: Sequence[Film]) -> list[Film]:
    """Leave out the films of hannover that ieee8023 republished, so that the hospital is new."""
    new = {film.group for film in films if film.source == "hannover"}
    return [
        film for film in films
        if film.source != "ieee8023" or (film.subsource != "hannover" and film.group not in new)
    ]  # fmt: skip


def _score(run: Run, films: Sequence[Film], x: Floats, *, tuned: bool) -> Floats:
    positive = np.array([film.label == COVID for film in films])
    once = [
        held_out(x, positive, _fold(films, run.config["folds"], seed, tuned), run.config["ridge"])
        for seed in range(run.config["repeats"])
    ]
    return np.asarray(np.mean(once, axis=0))


def _fold(films: Sequence[Film], count: int, seed: int, tuned: bool) -> NDArray[np.intp]:
    """Folds in ieee8023; elsewhere the split decides, and hannover trains only if ``tuned``."""
    own = folds([film.group for film in films], count, seed)
    for i, film in enumerate(films):
        if film.source == "ieee8023":
            continue
        if film.split == "test":
            own[i] = TESTED
        else:
            own[i] = UNUSED if film.source == "hannover" and not tuned else LEARNED
    return own


def _sets(films: Sequence[Film], draws: int) -> dict[str, Sample]:
    old = labelled((PNEUMONIA,), "ieee8023")
    new = labelled((COVID,), "hannover")

    def other(film: Film) -> bool:
        return old(film) or (film.label == PNEUMONIA and film.split == "test")

    return {
        _NEW: sample(films, other, lambda film: new(film) and film.split == "test", draws),
        _OLD: sample(films, old, labelled((COVID,), "ieee8023"), draws),
    }


def _numbers(sets: dict[str, Sample], z: Floats, before: Floats) -> dict[str, Interval]:
    return {
        "sensitivity": sets[_NEW].recalled(z, positive=True),
        "specificity": sets[_NEW].recalled(z, positive=False),
        _NEW: sets[_NEW].auc(z),
        _OLD: sets[_OLD].auc(z),
        "lost": sets[_OLD].gain(before, z),
    }
