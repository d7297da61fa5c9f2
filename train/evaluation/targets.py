"""The targets, and whether each is reached; computed from the figures, not written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.evaluation.comparisons import Row
from train.evaluation.depth import Depth
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
_MASKS, _DRAWN = "more outlined films", "more films with drawn infections, of other hospitals"
_READ = "NIH, radiologists: normal / opacity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure, its least acceptable value, and what reaching it would need."""

    name: str
    least: float
    figure: Interval | None
    ring: Interval | None = None  # the border ring's, where the figure must be above it too
    proved: bool = False  # whether all of the interval must be above
    needed: str = ""

    @property
    def misses(self) -> list[str]:
        """Return the reasons why the target is missed; empty if it is reached."""
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


def targets(results: Results, depth: Depth, folder: Path) -> list[Target]:
    """Return all targets.

    Parameters
    ----------
    results, depth
        The figures.
    folder
        Holds what experiments left: ``NAME.json``.
    """
    within = {one.name: one for one in depth.stage3}
    read = _row(results.pneumonia, "NIH, radiologists")
    least_dice = {
        "aerated lung, Dice on jsrt + wingspan + openist": ("jsrt + wingspan + openist", 0.965),
        "diseased lungs, Dice on ieee8023_v7 + gb_seg": ("lung field, behind the heart too", 0.93),
        "lungs with opacities inside, Dice on quex": ("quex", 0.95),
    }
    tenth = next((one for one in depth.calibration if one.name == _READ), None)
    return [
        *(
            Target(name=name, least=least, figure=results.dice.get(key), needed=_MASKS)
            for name, (key, least) in least_dice.items()
        ),
        Target(
            name="stage 2 against radiologists, AUC, above the border ring",
            least=0.945,
            figure=read.auc if read else None,
            ring=read.ring if read else None,
            needed=_FILMS,
        ),
        *(
            Target(
                name=f"stage 2, AUC, {words}",
                least=least,
                figure=_auc(results.pneumonia, row),
                needed=_FILMS,
            )
            for words, row, least in (
                ("AP films alone", "NIH, AP only", 0.96),
                ("PA films alone", "NIH, PA only", 0.90),
                ("quex", "quex alone", 0.97),
                ("actualmed, an unseen hospital", "actualmed", 0.90),
                ("kermany, unseen children", "kermany", 0.80),
            )
        ),
        *(
            Target(
                name=f"stage 2, {what} at `balanced`, radiologist-read films",
                least=0.87,
                figure=figure,
                needed=_FILMS,
            )
            for what, figure in (
                ("sensitivity", read.sensitivity if read else None),
                ("specificity", read.specificity if read else None),
            )
        ),
        Target(
            name="stage 2, 1 - calibration error, radiologist-read films",
            least=0.95,
            figure=_one_minus(tenth.ece) if tenth else None,
            needed=_FILMS,
        ),
        *(
            Target(
                name=f"stage 3, AUC, {words}",
                least=least,
                figure=one.auc if one else None,
                needed=_BOTH,
            )
            for words, one, least in (
                ("within ieee8023 across patients", within.get("ieee8023, all"), 0.80),
                ("within radiopaedia + eurorad", within.get("radiopaedia + eurorad"), 0.75),
            )
        ),
        Target(
            name="stage 3, AUC over all sources",
            least=0.94,
            figure=_auc(results.covid19, "all sources"),
            needed=_BOTH,
        ),
        *(
            Target(name=f"{one.name}, {words}", least=least, figure=figure, needed=_DRAWN)
            for one in depth.places
            for words, least, figure in (
                ("hottest pixel in the drawn infection", 0.90, one.pointing),
                ("median lift", 1.5, one.lift),
            )
        ),
        *_tuned(found("table5", folder)),
    ]


def _auc(rows: Sequence[Row], name: str) -> Interval | None:
    row = _row(rows, name)
    return row.auc if row else None


def _one_minus(interval: Interval) -> Interval:
    return Interval(value=1 - interval.value, low=1 - interval.high, high=1 - interval.low)


def scoreboard(results: Results, depth: Depth, folder: Path) -> str:
    """Return all `targets` as a Markdown table, and what the missed ones would need."""
    every = targets(results, depth, folder)
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

Above the border ring means that the intervals are apart. Stage 3 within ieee8023 is measured across
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
