"""Table 7: sensitivity by class as COVID-Net reports it, on the films that are available."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from models.cascade import Settings
from train.data.films import COVID, NORMAL, PNEUMONIA, Film, read_films
from train.evaluation import metrics
from train.evaluation.evaluate import Prediction, predict
from train.evaluation.plots import intervals
from train.experiments.result import Result, Run

_CLASSES = (NORMAL, PNEUMONIA, COVID)
_ILL = (PNEUMONIA, COVID)
_PAPER = (
    ("COVID-Net, three classes", ("97.0", "90.0", "87.1")),
    ("paper's stage 2, normal / ill", ("98.0", "90.84", "90.84")),
    ("paper's stage 3, pneumonia / COVID-19", ("-", "87.0", "96.8")),
)


def table7(run: Run) -> Result:
    """Sensitivity by class of each stage and of both together, at the shipped thresholds."""
    cascade = run.cascade()
    films = covidx(read_films(run.data, ("test",)), run.config["sources"])[: run.config["most"]]
    predictions = predict(cascade, films, run.out)
    numbers = {
        name: {
            label: share for label in _CLASSES
            if (share := _share(predictions, label, right)) is not None
        }
        for name, right in _deciders(cascade.settings).items()
    }  # fmt: skip
    plotted = {name: row for name, row in numbers.items() if len(row) == len(_CLASSES)}
    intervals(plotted, "sensitivity", run.docs / f"{run.name}.svg")
    counts = [sum(film.label == label for film in films) for label in _CLASSES]
    return Result(
        title="Sensitivity by class, the COVIDx protocol (paper, Table 7)",
        head=("", *(f"{label} ({n})" for label, n in zip(_CLASSES, counts, strict=True))),
        rows=[
            (name, *(str(row[label]) if label in row else "-" for label in _CLASSES))
            for name, row in numbers.items()
        ] + [(f"{name}, %", *cells) for name, cells in _PAPER],
        numbers=numbers,
        digests=dict(cascade.identity.digests),
        says="COVIDx tests on 100 normal and 100 pneumonia films of RSNA and 31 COVID-19 films of "
        "ieee8023. Where the data folder holds COVIDx (`python -m train manifest covidx FOLDER`) "
        "its own test list is used; these are "
        + ("its films." if any(film.source == "covidx" for film in films) else
           "not its films: RSNA's are missing, and the test split of NIH, from which RSNA took "
           "its films, and of ieee8023 stand in.")
        + " As in COVIDx, most pneumonias and all COVID-19 come from different sources, so "
        "high figures may be figures about sources; see the comparisons within one source in the "
        f"cards.\n\n![Sensitivity by class]({run.name}.svg)",
    )  # fmt: skip


def covidx(films: Sequence[Film], sources: Sequence[str]) -> list[Film]:
    """Choose the films of COVIDx's own lists, or those of ``sources`` if there are none."""
    own = [film for film in films if film.source == "covidx"]
    return own or [film for film in films if film.source in sources]


def _deciders(settings: Settings) -> dict[str, Callable[[Prediction], tuple[str, ...]]]:
    """For each stage, the labels its answer agrees with; empty if the stage does not run."""

    def stage2(p: Prediction) -> tuple[str, ...]:
        return _ILL if settings.pneumonia.decide(p.pneumonia).positive else (NORMAL,)

    def stage3(p: Prediction) -> tuple[str, ...]:
        if p.film.label == NORMAL:
            return ()
        return (COVID,) if settings.covid19.decide(p.covid19).positive else (PNEUMONIA,)

    def both(p: Prediction) -> tuple[str, ...]:
        if stage2(p) == (NORMAL,):
            return (NORMAL,)
        return stage3(p) or ("some pneumonia",)

    return {
        "cascade, three classes": both,
        "stage 2, normal / ill": stage2,
        "stage 3, pneumonia / COVID-19": stage3,
    }


def _share(
    predictions: Sequence[Prediction], label: str, called: Callable[[Prediction], tuple[str, ...]]
) -> metrics.Interval | None:
    own = [p for p in predictions if p.film.label == label and called(p)]
    if not own:
        return None
    right = np.array([label in called(p) for p in own], np.bool_)
    return metrics.share(right, [p.film.group for p in own])
