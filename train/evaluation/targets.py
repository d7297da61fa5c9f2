"""The targets, and whether each is reached; computed from the figures, not written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.data.films import PNEUMONIA
from train.evaluation.comparisons import CASE_REPORTS, Row
from train.evaluation.depth import Depth
from train.evaluation.metrics import Interval
from train.evaluation.paper_tables import ALL, DISTILLED, WITHOUT_QUEX, found, models_option
from train.evaluation.subgroups import Outlines
from train.evaluation.tables import Results

_FILMS = (
    "thousands of films of one hospital, normal and ill, with labels that radiologists gave, or "
    "weights that were trained on such films, and a GPU"
)
_BOTH = (
    "some hundreds of patients of one hospital with COVID-19 and as many with other pneumonias, "
    "from the same machines"
)
_CHILDREN = (
    "children in training, but the gate refuses children, and the hospital would not be unseen"
)
_MASKS, _DRAWN = "more outlined films", "more films with drawn infections, of other hospitals"
_WHITE = "outlines of white lungs that radiologists drew"
_PATIENTS = "more patients in both test sets"
_EVALUATE, _TABLE5 = "evaluate", f"experiment table5{models_option('table5')}"
_READ = "NIH, radiologists: normal / opacity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure, its least acceptable value, and what reaching it would need."""

    name: str
    least: float
    figure: Interval | float | None
    command: str = _EVALUATE  # of `python -m train`; prints the figure
    ring: Interval | None = None  # the border ring's, where the figure must be above it too
    proved: bool = False  # whether all of the interval must be above
    needed: str = ""

    @property
    def misses(self) -> list[str]:
        """Return the reasons why the target is missed; empty if it is reached."""
        if self.figure is None:
            return ["not measured"]
        missing = []
        interval = self.figure if isinstance(self.figure, Interval) else None
        value = self.figure.value if isinstance(self.figure, Interval) else self.figure
        if self.proved and interval and interval.low <= self.least:
            missing.append(f"the interval reaches down to {interval.low:.3f}")
        if value < self.least:
            missing.append(f"short by {self.least - value:.3f}")
        if self.ring and interval and interval.low <= self.ring.high:
            missing.append(f"not shown to be above the border ring's {self.ring}")
        return missing


def targets(results: Results, depth: Depth, folder: Path) -> list[Target]:
    """Return every target with our figure for it.

    Parameters
    ----------
    results, depth
        The figures.
    folder
        Holds what experiments left: ``NAME.json``.
    """
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
            least=0.955,
            figure=read.auc if read else None,
            ring=read.ring if read else None,
            needed=_FILMS,
        ),
        Target(
            name="the same, above AP or PA alone",
            least=_view_alone(results.pneumonia),
            figure=read.auc if read else None,
            proved=True,
            needed=_FILMS,
        ),
        *(
            Target(
                name=f"stage 2, AUC, {words}",
                least=least,
                figure=_auc(results.pneumonia, row),
                needed=_CHILDREN if row == "kermany" else _FILMS,
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
        Target(
            name="outlines of both lungs alike, NIH opacities (45 of 53)",
            least=45 / 53,
            figure=_alike(depth.outlines),
            needed=_WHITE,
        ),
        *_tuned(found("table5", folder)),
        *_within(found("within", folder)),
    ]


def _view_alone(rows: Sequence[Row]) -> float:
    """AUC of calling every AP film ill and every PA film well; 0.5 if the rows are not there."""
    ap, pa = _row(rows, "NIH, AP only"), _row(rows, "NIH, PA only")
    if ap is None or pa is None:
        return 0.5
    ill, well = ap.positives + pa.positives, ap.negatives + pa.negatives
    return (ap.positives / ill + pa.negatives / well) / 2


def _alike(rows: Sequence[Outlines]) -> float | None:
    """Share of the ill films with two lungs whose outlines give no warning."""
    row = next((row for row in rows if row.label == PNEUMONIA and row.compared), None)
    return (row.compared - row.suspicious) / row.compared if row else None


def _auc(rows: Sequence[Row], name: str) -> Interval | None:
    row = _row(rows, name)
    return row.auc if row else None


def _one_minus(interval: Interval) -> Interval:
    return Interval(value=1 - interval.value, low=1 - interval.high, high=1 - interval.low)


def scoreboard(results: Results, depth: Depth, folder: Path) -> str:
    """Return all `targets` as a Markdown table, and what the missed ones would need."""
    every = targets(results, depth, folder)
    lines = "\n".join(
        f"| {one.name} | {'> ' if one.proved else '>= '}{one.least:.3f} | {_figure(one)} "
        f"| {_verdict(one)} | `{one.command}` |"
        for one in every
    )
    missed = [one for one in every if one.misses and one.figure is not None]
    needs: dict[str, list[str]] = {}
    for one in missed:
        needs.setdefault(one.needed, []).append(one.name)
    needed = "\n".join(f"- {'; '.join(names)}: {what}." for what, names in needs.items())
    return f"""\
## What was to be reached

{sum(not one.misses for one in every)} of {len(every)} targets are reached. What was tried for the
others, and the targets that are no figures, stand under [What was tried](#what-was-tried).

| target | at least | ours | | `python -m train` |
|---|---|---|---|---|
{lines}

Above the border ring means that the intervals are apart. Stage 3 within ieee8023 is measured across
the patients of all splits, because its test split has few other pneumonias; so it is trained again
for each fifth of the patients, without them.
""" + (f"\nWhat would be needed:\n\n{needed}\n" if needed else "")


def _figure(one: Target) -> str:
    return f"{one.figure:.3f}" if isinstance(one.figure, float) else str(one.figure or "-")


def _verdict(one: Target) -> str:
    return f"**not reached**: {'; '.join(one.misses)}" if one.misses else "reached"


def _row(rows: Sequence[Row], name: str) -> Row | None:
    return next((row for row in rows if row.name.startswith(name)), None)


def _tuned(rows: Mapping[str, Any] | None) -> list[Target]:
    """`paper`'s stage 2, before and after eq. 2 on an unseen hospital, with each lambda."""
    if rows is None:
        return [Target(name="`paper` and eq. 2", least=0.0, figure=None, command=_TABLE5)]
    before = rows["before"]["NIH alone"]
    kept = [Interval(**rows[name]["kept"]) for name in DISTILLED]
    tuned = "`paper` fine-tuned with eq. 2"
    figures: list[tuple[str, float, Interval | float]] = [
        ("DenseNet-121 (`paper`) against radiologists, AUC", 0.945, Interval(**before))
    ]
    for name in DISTILLED:
        change = rows[name]["NIH alone"]["value"] - before["value"]
        figures += [
            (f"{tuned}, {name}: AUC, kermany", 0.95, Interval(**rows[name]["kermany"])),
            (f"{tuned}, {name}: AUC against radiologists, change", -0.01, change),
        ]
    return [
        *(
            Target(name=name, least=least, figure=figure, command=_TABLE5, needed=_PATIENTS)
            for name, least, figure in figures
        ),
        Target(
            name=f"{tuned}, the least of {' and '.join(DISTILLED)}: old AUC kept that is lost "
            "without distillation",
            least=0.0,
            figure=min(kept, key=lambda one: one.low),
            command=_TABLE5,
            proved=True,
            needed=_PATIENTS,
        ),
    ]


def _within(rows: Mapping[str, Any] | None) -> list[Target]:
    """Targets of `experiment within`: AUC on patients never seen, and what quex's films add."""
    cases = " + ".join(CASE_REPORTS)
    figures = (
        ("within ieee8023 across patients", 0.80, ALL, "ieee8023"),
        (f"within {cases} across patients", 0.75, ALL, cases),
        ("within ieee8023, change without quex's COVID-19", -0.02, WITHOUT_QUEX, "gain, ieee8023"),
        (f"within {cases}, the same change", -0.02, WITHOUT_QUEX, f"gain, {cases}"),
    )
    return [
        Target(
            name=f"stage 3 learned whole, AUC {name}",
            least=least,
            figure=Interval(**rows[row][part]) if rows else None,
            command="experiment within",
            needed=_BOTH,
        )
        for name, least, row, part in figures
    ]
