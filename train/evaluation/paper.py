"""The paper's figures beside ours: Yeh et al. 2020, Tables 3 to 7 and section 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from train.evaluation.bias_probes import CrossValidated
from train.evaluation.comparisons import Row
from train.evaluation.metrics import Interval
from train.evaluation.paper_tables import TABLES, linked, section
from train.evaluation.tables import Results, cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the paper's Table 4 (test split), and which row of ours comes nearest."""

    table: str
    stage: int
    auc: float
    sensitivity: float
    specificity: float
    ours: str = ""  # how the comparison's name begins; "": we have none like it


FIGURES = (
    Figure(table="4, open", stage=2, auc=0.9672, sensitivity=0.9285, specificity=0.9005,
           ours="NIH, radiologists"),
    Figure(table="4, open", stage=3, auc=0.8804, sensitivity=0.8526, specificity=0.8586,
           ours="NIH pneumonia / ieee8023 COVID-19"),
    Figure(table="4, NTUH + TMUH", stage=2, auc=0.9394, sensitivity=0.6364, specificity=0.9048,
           ours="actualmed"),
    Figure(table="4, NTUH + TMUH", stage=3, auc=0.4, sensitivity=0.5, specificity=0.4),
)  # fmt: skip
DICE = 0.88  # on Montgomery and Shenzhen films


def beside(results: Results, folds: Sequence[CrossValidated], folder: Path) -> str:
    """Return the paper's tables beside ours as Markdown, with where and why ours are worse.

    Parameters
    ----------
    results
        Of the first table.
    folds
        Stage 3 within its source.
    folder
        Holds what experiments left: ``NAME.json`` and ``NAME.md``.
    """
    rows = {2: results.pneumonia, 3: results.covid19}
    pairs = [(one, _nearest(one, rows[one.stage])) for one in FIGURES]
    table3, *others = (section(table, folder) for table in TABLES)
    more = "\n".join(others)
    return f"""\
## The paper's figures beside ours

Two different sets of films stand side by side here, so a difference is no ranking.

{table3}
### Table 4: public films only, the own test split and an unseen hospital

| paper, test | stage | paper: AUC / sens. / spec. | our films | AUC | sens. | spec. |
|---|---|---|---|---|---|---|
{_lines(pairs)}

{_verdicts(pairs)}
On more hospitals: {linked("table4", folder)}.

{more}
### Lungs, and stage 3 within its source

{_lungs(results.dice)}
{_stage3(folds)}
### Why ours are worse where they are

- Some 48,000 films taught the paper's networks (Table 1: PadChest, RSNA); some 3,400 labelled ones
  taught these, on two CPU cores.
- The paper tests on RSNA's radiologists, and so do we for the first time: on those films of NIH
  ChestX-ray14 that RSNA's readers read. Earlier figures were against labels mined from reports.
- Ours must find a disease within one source. In the paper's Table 1 every COVID-19 film is of
  ieee8023 and every other pneumonia of PadChest or RSNA: its open stage-3 figures cannot separate
  the disease from the source. Of ours, the row of the same kind stands beside them; the border
  ring's figure for it is in the table of stage 3 above.
- The unseen hospitals are others: actualmed has 29 films, its COVID-19 mostly AP and its normal
  ones mostly PA; kermany's patients are children; hannover has COVID-19 only. None shows both
  sides of stage 3.
"""


def _nearest(figure: Figure, rows: Sequence[Row]) -> Row | None:
    if not figure.ours:
        return None
    return next((row for row in rows if row.name.startswith(figure.ours)), None)


def _lines(pairs: Sequence[tuple[Figure, Row | None]]) -> str:
    lines = []
    for one, row in pairs:
        paper = f"{one.auc:.4f} / {one.sensitivity:.4f} / {one.specificity:.4f}"
        ours = "- | - | - | -"
        if row:
            ours = f"{row.name} | {cell(row.auc)} | {cell(row.sensitivity)} | "
            ours += cell(row.specificity)
        lines.append(f"| {one.table} | {one.stage} | {paper} | {ours} |")
    return "\n".join(lines)


def _lungs(dice: dict[str, Interval]) -> str:
    ours = "; ".join(f"{name} {one}" for name, one in dice.items() if "lung" in name)
    return f"Lungs, Dice: the paper {DICE} (Montgomery and Shenzhen); ours: {ours}.\n"


def _verdicts(pairs: Sequence[tuple[Figure, Row | None]]) -> str:
    """Say of each AUC whether it is worse, and by how much."""
    lines = []
    for one, row in pairs:
        if row is None or row.auc is None:
            continue
        gap = one.auc - row.auc.value
        word = f"worse than the paper's by {gap:.3f}" if gap > 0 else "not below the paper's"
        wide = " (within our interval)" if row.auc.low <= one.auc <= row.auc.high else ""
        lines.append(f"- Table {one.table}, stage {one.stage}: our AUC is {word}{wide}.")
    return "\n".join(lines) + "\n"


def _stage3(folds: Sequence[CrossValidated]) -> str:
    """Say whether stage 3 is shown to beat the border ring within its source."""
    lines = []
    for row in folds:
        proved = row.auc.low > row.ring.high
        word = "is above" if proved else "is not shown to be above"
        lines.append(
            f"- A last layer on stage 2's features, within {row.name}, across patients: AUC "
            f"{row.auc}, which {word} the border ring's {row.ring}."
        )
    return "\n".join(lines) + "\n"
