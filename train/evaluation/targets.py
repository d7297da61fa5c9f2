"""What was to be reached, and whether it was: told from the figures, not by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.evaluation.bias_probes import CrossValidated
from train.evaluation.comparisons import Row
from train.evaluation.metrics import Interval
from train.evaluation.paper_tables import DISTILLED, found
from train.evaluation.tables import Results

_FILMS = (
    "thousands of films of one hospital, normal and ill, with labels that radiologists gave, or "
    "weights that were trained on such films, and a GPU"
)
_BOTH = (
    "some hundreds of patients of one hospital with COVID-19 and as many with other pneumonias, "
    "from the same machines"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure, the least it should be, and what stands in the way where it is not."""

    name: str
    least: float
    figure: Interval | None
    ring: Interval | None = None  # the border ring's, where the figure must be above it too
    proved: bool = False  # whether all of the interval must be above
    needed: str = ""

    @property
    def misses(self) -> list[str]:
        """Everything that is missing; nothing where the target is reached."""
        if self.figure is None:
            return ["not measured"]
        missing = []
        if self.proved and self.figure.low <= self.least:
            missing.append(f"the interval reaches down to {self.figure.low:.3f}")
        if self.figure.value < self.least:
            missing.append(f"short by {self.least - self.figure.value:.3f}")
        if self.ring and self.figure.low <= self.ring.high:
            missing.append(f"not shown to be above the border ring's {self.ring}")
        return missing


def targets(results: Results, folds: Sequence[CrossValidated], folder: Path) -> list[Target]:
    """Everything that was to be reached; ``folder`` has what the experiments left."""
    nih, pooled = _row(results.pneumonia, "NIH alone: "), _row(results.pneumonia, "NIH + ieee8023")
    mixed = _row(results.covid19, "NIH + ieee8023")
    within = folds[0] if folds else None
    return [
        Target(
            name="lungs, Dice on jsrt + wingspan + openist",
            least=0.96,
            figure=results.dice.get("aerated lung, heart left out"),
            needed="more outlined films of other hospitals",
        ),
        Target(
            name="diseased lungs, Dice on ieee8023_v7 + gb_seg",
            least=0.92,
            figure=results.dice.get("lung field, behind the heart too"),
            needed="more outlined films with disease",
        ),
        Target(
            name="stage 2, AUC on NIH alone, above the border ring",
            least=0.88,
            figure=nih.auc if nih else None,
            ring=nih.ring if nih else None,
            needed=_FILMS,
        ),
        Target(
            name="stage 2, AUC over all sources",
            least=0.93,
            figure=pooled.auc if pooled else None,
            needed=_FILMS,
        ),
        Target(
            name="stage 3, AUC within ieee8023 across patients, above the border ring",
            least=0.75,
            figure=within.auc if within else None,
            ring=within.ring if within else None,
            needed=_BOTH,
        ),
        Target(
            name="stage 3, AUC over all sources",
            least=0.90,
            figure=mixed.auc if mixed else None,
            needed=_BOTH,
        ),
        *_tuned(found("table5", folder)),
    ]


def scoreboard(results: Results, folds: Sequence[CrossValidated], folder: Path) -> str:
    """Give all targets in a table, and what the missed ones would need."""
    every = targets(results, folds, folder)
    lines = "\n".join(
        f"| {one.name} | {'> ' if one.proved else '>= '}{one.least:.2f} | {one.figure or '-'} "
        f"| {_verdict(one)} |"
        for one in every
    )
    missed = [one for one in every if one.misses and one.figure]
    needs: dict[str, list[str]] = {}
    for one in missed:
        needs.setdefault(one.needed, []).append(one.name)
    needed = "\n".join(f"- {'; '.join(names)}: {what}." for what, names in needs.items())
    return f"""\
## What was to be reached

{sum(not one.misses for one in every)} of {len(every)} targets are reached.

| target | at least | ours | |
|---|---|---|---|
{lines}

Above the border ring means that the intervals are apart. Stage 3 within ieee8023 is judged across
the patients of all splits, because its test split has few other pneumonias.
""" + (f"\nWhat would be needed:\n\n{needed}\n" if needed else "")


def _verdict(one: Target) -> str:
    return f"**not reached**: {'; '.join(one.misses)}" if one.misses else "reached"


def _row(rows: Sequence[Row], name: str) -> Row | None:
    return next((row for row in rows if row.name.startswith(name)), None)


def _tuned(rows: Mapping[str, Any] | None) -> list[Target]:
    """Eq. 2 on an unseen hospital: it gains there, and forgets less than without distillation."""
    if rows is None:
        name = "eq. 2 on an unseen hospital (`python -m train experiment table5 --data DIR`)"
        return [Target(name=name, least=0.0, figure=None, proved=True)]
    tuned = {name: rows[name] for name in DISTILLED}
    return [
        Target(
            name=f"fine-tuned with eq. 2, the least of {' and '.join(tuned)}: {what}",
            least=0.0,
            figure=min((Interval(**row[key]) for row in tuned.values()), key=lambda one: one.low),
            proved=True,
            needed="more patients in both test sets",
        )
        for what, key in (
            ("AUC gained on the unseen hospital", "gained"),
            ("old AUC kept that is lost without distillation", "kept"),
        )
    ]
