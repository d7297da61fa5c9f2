"""Stage 3's last layer with and without the COVID-19 films of quex, tested within ieee8023."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from train.data.films import COVID, PNEUMONIA, Film, read_films
from train.evaluation.bias_probes import both_sides, drawn
from train.evaluation.cached_features import traits
from train.evaluation.comparisons import CASE_REPORTS, labelled
from train.experiments.features import LEARNED, UNUSED, Floats, folds, held_out
from train.experiments.result import Result, Run
from train.experiments.sample import sample

_WITH, _WITHOUT = "with quex's", "without quex's"
_ALL, _CASES = "ieee8023", "radiopaedia + eurorad alone"
_OTHERS = (
    ("nih", PNEUMONIA),
    ("quex", PNEUMONIA),
    ("bimcv", COVID),
    ("hannover", COVID),
    ("quex", COVID),
)


def quex(run: Run) -> Result:
    """Fit stage 3's last layer with and without quex's COVID-19; test both on the same films."""
    cascade, every = run.cascade(), read_films(run.data)
    own, learned = both_sides(every, "ieee8023"), _others(every, run.config["most"])
    films = [*own, *learned]
    x = traits(cascade, films, run.out).gated
    scores = {
        _WITH: _score(run, films, x, unused=lambda film: False),
        _WITHOUT: _score(run, films, x, unused=labelled((COVID,), "quex")),
    }
    other, covid = labelled((PNEUMONIA,), "ieee8023"), labelled((COVID,), "ieee8023")
    sets = {
        _ALL: sample(films, other, covid, run.config["draws"]),
        _CASES: sample(
            films,
            lambda film: other(film) and film.subsource in CASE_REPORTS,
            lambda film: covid(film) and film.subsource in CASE_REPORTS,
            run.config["draws"],
        ),
    }
    numbers = {
        name: {part: one.auc(z) for part, one in sets.items()}
        | {"gain": sets[_ALL].gain(z, scores[_WITH])}
        for name, z in scores.items()
    }
    sizes = {name: f"{(~s.positive).sum()} / {s.positive.sum()}" for name, s in sets.items()}
    counts = ", ".join(
        f"{source} {label} {sum((f.source, f.label) == (source, label) for f in learned)}"
        for source, label in _OTHERS
    )
    return Result(
        title="Stage 3's last layer with and without the COVID-19 films of quex",
        head=("COVID-19 films that teach", *(f"AUC, {part} ({n})" for part, n in sizes.items()),
              "gained, ieee8023, paired"),
        rows=[(name, *map(str, row.values())) for name, row in numbers.items()],
        numbers=numbers,
        digests=dict(cascade.identity.digests),
        says="Collections copy each other: films of the COVID-19 patients of ieee8023 may stand "
        "in quex under no common number. If they taught the test, leaving them out would cost "
        f"much here. Learned from: {counts}, all of the training split, and ieee8023 itself, "
        f"{run.config['repeats']} times {run.config['folds']}-fold cross-validated by patient over "
        "all splits. Only the last layer is fitted (L2 logistic regression, ridge "
        f"{run.config['ridge']}), on stage 2's features of the film times H2, the same for both: "
        "the shipped stage 3, all of whose layers learned, was not trained twice, and stage 2 "
        "learned from quex's COVID-19 in both rows that it is ill.",
    )  # fmt: skip


def _others(films: Sequence[Film], most: int) -> list[Film]:
    """Training films of the other sources, drawn with a fixed seed."""
    train = [film for film in films if film.split == "train"]
    return [
        film
        for source, label in _OTHERS
        for film in drawn([f for f in train if (f.source, f.label) == (source, label)], most)
    ]


def _score(
    run: Run, films: Sequence[Film], x: Floats, unused: Callable[[Film], bool]
) -> NDArray[np.float64]:
    positive = np.array([film.label == COVID for film in films])
    once = []
    for seed in range(run.config["repeats"]):
        fold = folds([film.group for film in films], run.config["folds"], seed)
        for i, film in enumerate(films):
            if film.source != "ieee8023":
                fold[i] = UNUSED if unused(film) else LEARNED
        once.append(held_out(x, positive, fold, run.config["ridge"]))
    return np.asarray(np.mean(once, axis=0))
