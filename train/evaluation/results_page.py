"""Write docs/RESULTS.md: the paper's figures beside ours, and the limits of ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from train.evaluation.bias_probes import (
    CrossValidated,
    Heat,
    Probe,
)
from train.evaluation.calibration import Calibration, draw
from train.evaluation.depth import Depth
from train.evaluation.localisation import table as places_table
from train.evaluation.paper import beside
from train.evaluation.subgroups import outlines_table
from train.evaluation.subgroups import table as groups_table
from train.evaluation.tables import INTERVALS, Results, cell, dice_table, table
from train.evaluation.targets import scoreboard

_HISTORY = Path(__file__).parent / "history.md"  # kept by hand


def write(results: Results, depth: Depth, docs: Path, command: str) -> str:
    """Write ``RESULTS.md``, and its plots and numbers into ``results/``.

    Parameters
    ----------
    results, depth
        The figures.
    docs
        The folder of the page. ``results/`` in it holds what experiments left.
    command
        Prints the figures.

    Returns
    -------
    str
        The page.
    """
    folder = docs / "results"
    draw(depth.calibration, folder)
    numbers = {"digests": results.digests, **asdict(depth)}
    body = json.dumps(numbers, indent=2, ensure_ascii=False)
    (folder / "evaluate.json").write_text(f"{body}\n", encoding="utf-8")
    text = _markdown(results, depth, folder, command)
    (docs / "RESULTS.md").write_text(text, encoding="utf-8")
    return text


def _markdown(results: Results, depth: Depth, folder: Path, command: str) -> str:
    digests = "\n".join(f"- {name}: `{digest}`" for name, digest in results.digests.items())
    links = "\n".join(
        f"- [{path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}](results/{path.name})"
        for path in sorted(folder.glob("*.md"))
    )
    return f"""\
# Results

Research software, not a medical device. Version {results.version}. Figures of this page are
printed by `{command}`, others by the command beside them.

{INTERVALS}
{scoreboard(results, depth, folder)}
## Within one source first

Public films confound disease with source: a network that knows the hospital knows much of the
answer. So the rows within one source lead, and beside each stands the border ring: a regression
that sees the outer 4 of 32 pixels of a thumbnail and no lung. Only what is well above it says
something of the disease.

### Stage 2, normal against pneumonia, test split

{table(results.pneumonia)}
### Stage 3, COVID-19 against other pneumonia, test split

{table(results.covid19)}
The test split of ieee8023 has few other pneumonias. So this table takes the patients of all splits:
a last layer is fitted in each of five folds on stage 2's features of x ⊙ H2, and stage 2 never
learned which pneumonia a film shows:

{_folds(depth.stage3)}
### Lungs

{dice_table(results.dice)}
Two conventions, a channel each: aerated lung, and the whole field with what lies behind the
heart. Stage 2 sees the field, with a margin, so that no diseased lung behind the heart is cut
away. An opacified lung belongs inside: of the NIH test films that radiologists read, so many have
one lung smaller than 72 % of the other or a base more than a tenth of the film higher (95 % of a
lung lies above its base):

{outlines_table(depth.outlines)}
## Is it the lungs?

{_probe(depth.probe)}
{_heat(depth.heat)}
## Does the heat stand where people drew the infection?

{places_table(depth.places)}
On the COVID-19 films of quex with a drawn infection: whether the heatmap's hottest pixel lies in it
or within 6 % of the frame's side, beside the share of the lungs where any pixel would; and the mean
heat inside over that in the rest of the lungs.

## Who is called ill?

{groups_table(depth.groups)}
NIH test films by what radiologists said of them. `not-normal` films show no lung opacity and are
not normal: the paper leaves them out, and every hospital has them.

## Do the probabilities mean what they say?

{_calibration(depth.calibration)}
The error is the mean gap between what is said and what is true, over five parts with as many films
each. Noise alone makes such a gap, so number and interval are the basic bootstrap's, which takes
off most of what noise adds; zero then means: none that these films show.

![ROC](results/roc.svg)
![reliability](results/reliability.svg)

{beside(results, depth.stage3, folder)}
## Experiments

Each is printed by `python -m train experiment NAME --data DIR`; table5, table6 and cam need
`--models models/paper`.

{links or "None yet."}

{_HISTORY.read_text(encoding="utf-8")}
{_shared(depth.shared)}
## Weights (SHA-256)

{digests}
"""


def _shared(films: Sequence[str]) -> str:
    if not films:
        return ""
    return (
        f"{len(films)} films whose lung masks taught stage 1 belong to patients of the test split "
        f"of stages 2 and 3: {', '.join(films)}. Their labels were not used there, but on these "
        "patients the lungs may be found better than on strangers.\n"
    )


def _folds(rows: Sequence[CrossValidated]) -> str:
    lines = [f"| {r.name} | {r.negatives} / {r.positives} | {r.auc} | {r.ring} |" for r in rows]
    return (
        "| films | n - / + | AUC | border ring's |\n|---|---|---|---|\n" + "\n".join(lines) + "\n"
    )


def _probe(probe: Probe) -> str:
    nih, other = probe.films
    return f"""\
How well a regression, cross-validated by patient, separates {nih} NIH films from {other} quex
films, all with pneumonia and none with COVID-19. Lower is better; 0.5 is blind to the source.

| seen | AUC |
|---|---|
| the film with the lungs cut out, 32 px | {probe.lungs_cut_out} |
| the masked film, 32 px | {probe.masked} |
| stage 2's features | {probe.features} |
"""


def _heat(found: Heat) -> str:
    return f"""\
Where stage 2 looks, on {found.films} NIH test films. A heatmap that means something loses more
when its hottest tenth of the lungs is blanked than when a random tenth is.

| | |
|---|---|
| share of H2 inside the lung field, films called positive | {found.inside_lungs} |
| AUC, whole masked film | {found.auc} |
| AUC, hottest tenth removed | {found.auc_without_hottest} |
| AUC, a random tenth removed | {found.auc_without_random} |
| log odds lost, hottest tenth removed, films called positive | {found.lost_to_hottest} |
| log odds lost, a random tenth removed, the same films | {found.lost_to_random} |
| the former less the latter, paired | {found.lost_more} |

{_heat_says(found)}
"""


def _heat_says(found: Heat) -> str:
    if found.lost_more.low > 0:
        return "Over these films the heat stands where the answer comes from."
    return "Over these films the heat is not shown to stand where the answer comes from."


def _calibration(rows: Sequence[Calibration]) -> str:
    lines = [f"| {r.stage} | {r.name} | {cell(r.ece)} | {cell(r.brier)} |" for r in rows]
    head = "| stage | films | expected calibration error | Brier score |\n|---|---|---|---|\n"
    return head + "\n".join(lines) + "\n"
