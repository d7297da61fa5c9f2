"""Train all of stage 3, and test it on patients of ieee8023 who did not teach it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold
from torch import nn

from models import registry
from train import settings
from train.data.films import COVID, PNEUMONIA, Film, read_films
from train.evaluation.comparisons import CASE_REPORTS
from train.evaluation.paper_tables import ALL, ELSEWHERE, WITHOUT_QUEX
from train.experiments import networks
from train.experiments.result import Result, Run
from train.experiments.sample import Floats, covid_or_other, is_case_report
from train.loop import fit
from train.schedule import Phase
from train.stages.stage3_covid import CovidTask
from train.starts import start
from train.weights import frozen

_SOURCE = "ieee8023"
_CASES = " + ".join(CASE_REPORTS)
_LATER = f"{_SOURCE}'s validation and test splits"
_GAINS = (_SOURCE, _CASES)  # where the rows are compared with the first
_ELSEWHERE = -1  # in place of a fold: films of other sources


class _Task(CovidTask):
    """Stage 3, of which nothing is selected."""

    def validate(self, network: nn.Module, phase: Phase) -> dict[str, float]:
        """Give each step the same score, so that the last one is kept."""
        return {"score": 0.0}


def within(run: Run) -> Result:
    """Train stage 3 without each fold of patients in turn, with and without quex's COVID-19."""
    lungs, stage2 = networks.given(run, "lungs"), networks.given(run, "pneumonia")
    films = _films(run)
    fold = _folds(films, run.config["folds"])
    training = _Training(run=run, lungs=lungs, stage2=stage2, films=films)
    whole, never = training.held_out(fold)
    without, _ = training.held_out(fold, quex=False)
    scores = {ALL: whole, WITHOUT_QUEX: without, ELSEWHERE: never}
    draws = run.config["draws"]
    sets = {
        _SOURCE: covid_or_other(films, _SOURCE, draws),
        _CASES: covid_or_other(films, _SOURCE, draws, is_case_report),
        _LATER: covid_or_other(films, _SOURCE, draws, lambda film: film.split != "train"),
    }
    numbers = {
        name: {part: one.auc(z) for part, one in sets.items()}
        | {f"gain, {part}": sets[part].gain(z, scores[ALL]) for part in _GAINS}
        for name, z in scores.items()
    }
    sizes = {name: f"{(~s.positive).sum()} / {s.positive.sum()}" for name, s in sets.items()}
    return Result(
        title="Stage 3 learned whole, tested on patients of ieee8023 that did not teach it",
        head=("films that teach", *(f"AUC, {part} ({n})" for part, n in sizes.items()),
              *(f"gained, {part}, paired" for part in _GAINS)),
        rows=[(name, *map(str, row.values())) for name, row in numbers.items()],
        numbers=numbers,
        digests={"lungs": lungs.digest, "pneumonia": stage2.digest},
        says=_says(run, films),
    )  # fmt: skip


def _says(run: Run, films: Sequence[Film]) -> str:
    counts = Counter((f.source, f.label) for f in films)
    listed = ", ".join(f"{source} {label} {n}" for (source, label), n in sorted(counts.items()))
    base, fold = (
        " and ".join(f"{p['steps']} batches of {p['batch']} at {p['size']} px" for p in phases)
        for phases in (run.config[part]["phases"] for part in ("base", "fold"))
    )
    return (
        "Stage 3 is trained with the losses of the shipped one and on its kinds of films, for "
        f"about half of its time: first without ieee8023 ({base}), then, once for each of "
        f"{run.config['folds']} folds of ieee8023's patients, with the patients of the other "
        f"folds, too ({fold}). A film is scored by the network that never saw its patient; in the "
        "last row by the one that never saw a film of ieee8023. "
        f"Of ieee8023 the splits {', '.join(run.config['splits'])} take part, of all others the "
        f"training split: {listed}. Nothing is selected: each training ends with its last "
        "batch. The validation and test splits are shown apart, as the shipped stage 3 did not "
        "learn from them.\n\n"
        "Collections copy each other: films of the COVID-19 patients of ieee8023 may stand in quex "
        "under no common number. If they taught the test, leaving them out would cost much here. "
        "But without them quex teaches other pneumonias alone, and its kind of file gives the "
        "answer away, which costs something, too. Stage 2 learned from quex's COVID-19 in all "
        "rows, but only that it is ill."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """What all trainings share."""

    run: Run
    lungs: networks.Network
    stage2: networks.Network
    films: list[Film]

    def held_out(self, fold: NDArray[np.intp], *, quex: bool = True) -> tuple[Floats, Floats]:
        """Logits of ieee8023's films by networks that never saw their patient.

        Parameters
        ----------
        fold
            Of each film, see `_folds`: (N,).
        quex
            Whether quex's COVID-19 teaches.

        Returns
        -------
        tuple
            Those of the folds' networks, and those of the one that all folds start from; (N,)
            each, 0 for films of other sources.
        """
        whole, never = np.zeros(len(fold)), np.zeros(len(fold))
        own = np.flatnonzero(fold != _ELSEWHERE)
        base, further = (_part(self.run, name, quex) for name in ("base", "fold"))
        arm = "" if quex else "-without-quex"
        never[own], weights = self._answers(f"base{arm}", base, own, self.run.config["init"])
        for k in range(int(fold.max()) + 1):
            unseen = np.flatnonzero(fold == k)
            whole[unseen], _ = self._answers(f"fold{k}{arm}", further, unseen, weights)
        return whole, never

    def _answers(
        self, name: str, own: dict[str, Any], unseen: NDArray[np.intp], init: str | Path
    ) -> tuple[Floats, Path]:
        """Train one network without some films; return its logits for these, and its weights."""
        raw = self.run.config | {
            "recipe": self.run.config["recipe"] | {"groups": own["groups"]},
            "schedule": self.run.config["schedule"] | {"phases": own["phases"]},
        }
        masking = networks.masking(self.run, self.lungs)
        network = registry.classifier(masking.backbone)
        start(network, init)
        hidden = set(unseen.tolist())
        films = [
            replace(film, split="" if i in hidden else "train") for i, film in enumerate(self.films)
        ]
        task = _Task(network, films, masking, self.stage2.path, settings.recipe(raw))
        folder = networks.work(self.run, name, own, self.lungs, self.stage2)
        best = fit(task, settings.schedule(raw), folder)
        taught = frozen(registry.classifier(masking.backbone), best)
        return task.logits(taught, unseen.tolist(), masking.size), best


def _part(run: Run, name: str, quex: bool) -> dict[str, Any]:
    """Groups and phases of the YAML's "base" or "fold", with or without quex's COVID-19."""
    part = run.config[name]
    groups = [
        group
        for group in part["groups"]
        if quex or (group["label"], group["sources"]) != (COVID, ["quex"])
    ]
    return {"groups": groups, "phases": part["phases"]}


def _films(run: Run) -> list[Film]:
    """All pneumonias of ieee8023, and what the other sources have for training."""
    sources = {source for group in run.config["base"]["groups"] for source in group["sources"]}
    splits = run.config["splits"]
    return [
        film
        for film in read_films(run.data, labels=(PNEUMONIA, COVID))
        if (film.source == _SOURCE and film.split in splits)
        or (film.source in sources and film.split == "train")
    ]


def _folds(films: Sequence[Film], count: int) -> NDArray[np.intp]:
    """Deal the patients of ieee8023 to folds that have similar shares of COVID-19.

    Returns
    -------
    array
        The fold of each film, or `_ELSEWHERE`: (N,).
    """
    own = [i for i, film in enumerate(films) if film.source == _SOURCE]
    covid, groups = [films[i].label == COVID for i in own], [films[i].group for i in own]
    dealt = np.full(len(films), _ELSEWHERE, np.intp)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    for k, (_, tested) in enumerate(splitter.split(own, covid, groups)):
        dealt[np.array(own)[tested]] = k
    return dealt
