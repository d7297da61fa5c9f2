"""Stage 3 with H2 as CAM, as eq. 1 literally, and without H2."""

from __future__ import annotations

import numpy as np

from train.data.films import COVID, PNEUMONIA, read_films
from train.evaluation.border_baseline import ring
from train.evaluation.comparisons import labelled
from train.evaluation.plots import intervals
from train.experiments import networks
from train.experiments.features import Floats, features, folds, held_out
from train.experiments.result import Result, Run
from train.experiments.sample import covid_or_other, is_case_report

_RING = "border ring, no network"
_ALL, _CASES = "ieee8023", "radiopaedia + eurorad alone"


def cam_variants(run: Run) -> Result:
    """Refit stage 3's last layer with each H2; cross-validate by patient within ieee8023."""
    lungs, stage2 = networks.given(run, "lungs"), networks.given(run, "pneumonia")
    config = run.config
    wanted = labelled((PNEUMONIA, COVID), "ieee8023")
    films = [film for film in read_films(run.data) if wanted(film)]
    x = features(films, networks.masking(run, lungs), stage2.path, config["size"])
    x[_RING] = np.stack([ring(film.path) for film in films])
    positive = np.array([film.label == COVID for film in films])
    groups = [film.group for film in films]

    def score(rows: Floats) -> Floats:
        once = [
            held_out(rows, positive, folds(groups, config["folds"], seed), config["ridge"])
            for seed in range(config["repeats"])
        ]
        return np.asarray(np.mean(once, axis=0))

    scores = {name: score(rows) for name, rows in x.items()}
    sets = {
        _ALL: covid_or_other(films, "ieee8023", config["draws"]),
        _CASES: covid_or_other(films, "ieee8023", config["draws"], is_case_report),
    }
    numbers = {
        name: {part: one.auc(z) for part, one in sets.items()}
        | {f"gain, {part}": one.gain(z, scores["none"]) for part, one in sets.items()}
        for name, z in scores.items()
    }
    plotted = {name: {part: row[part] for part in sets} for name, row in numbers.items()}
    intervals(plotted, "AUC", run.docs / f"{run.name}.svg")
    sizes = {name: f"{(~s.positive).sum()} / {s.positive.sum()}" for name, s in sets.items()}
    return Result(
        title="H2 as CAM against eq. 1 to the letter against none: effect on stage 3",
        head=("x is multiplied with", *(f"AUC, {part} ({n})" for part, n in sizes.items()),
              *(f"above none, {part}" for part in sets), "paper"),
        rows=[(name, *map(str, row.values()), "-") for name, row in numbers.items()],
        numbers=numbers,
        digests={"lungs": lungs.digest, "pneumonia": stage2.digest},
        says=f"Pneumonia / COVID-19 counted in brackets. {config['repeats']} times "
        f"{config['folds']}-fold cross-validation by patient over all splits of ieee8023, at "
        f"{config['size']} px: L2 logistic regression (ridge {config['ridge']}, chosen before) on "
        "stage 2's network's pooled features of the gated film; the shipped stage 3 learned all of "
        "its layers. Stage 2 never learned which pneumonia a film shows. Eq. 1 "
        "to the letter reshapes 1024 channels into 32 x 32 places: its map has no anatomy. "
        "Differences are paired on the same patients; an interval that holds 0 says that so few "
        "patients cannot decide. The paper gives no "
        f"figure for this; it calls its H2 a CAM.\n\n![AUC under each H2]({run.name}.svg)",
    )  # fmt: skip
