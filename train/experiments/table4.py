"""Table 4: networks that learned from public adult films, on hospitals they never saw."""

from __future__ import annotations

from train.data.films import COVID, NORMAL, PNEUMONIA, read_films
from train.evaluation.comparisons import Comparison, Row, compare, within
from train.evaluation.evaluate import predict
from train.evaluation.tables import cell
from train.experiments.result import Result, Run

_PAPER_OPEN = {2: ("96.72", "92.85", "90.05"), 3: ("88.04", "85.26", "85.86")}
_PAPER_UNSEEN = {2: ("93.94", "63.64", "90.48"), 3: ("40.00", "50.00", "40.00")}

_OWN = (
    within(2, "own test split, NIH alone", (NORMAL,), (PNEUMONIA,), "nih"),
    within(2, "own test split, NIH + quex", (NORMAL,), (PNEUMONIA, COVID), "nih", "quex"),
    within(3, "own test split, ieee8023 alone", (PNEUMONIA,), (COVID,), "ieee8023"),
    within(3, "own test split, all sources", (PNEUMONIA,), (COVID,), "nih", "quex", "ieee8023"),
)
_UNSEEN = (
    within(2, "kermany (children)", (NORMAL,), (PNEUMONIA,), "kermany"),
    within(2, "actualmed: normal / COVID-19", (NORMAL,), (COVID,), "actualmed"),
    within(2, "hannover: COVID-19 only", (), (COVID,), "hannover"),
    within(3, "actualmed: COVID-19 only", (), (COVID,), "actualmed"),
    within(3, "hannover: COVID-19 only", (), (COVID,), "hannover"),
)


def table4(run: Run) -> Result:
    """Score the test split and the unseen hospitals at the shipped thresholds."""
    cascade = run.cascade()
    comparisons = (*_OWN, *_UNSEEN)
    films = [
        film for film in read_films(run.data, ("test", "site"))
        if any(c.negative(film) or c.positive(film) for c in comparisons)
    ][: run.config["most"]]  # fmt: skip
    predictions = predict(cascade, films, run.out)
    rows = [
        (c, compare(c, predictions, cascade.settings)) for c in comparisons if c.sides(films)[0]
    ]
    return Result(
        title="Public films only, tested on hospitals never seen (paper, Table 4)",
        head=("stage", "films", "n - / +", "AUC", "sensitivity", "specificity",
              "paper: AUC / sensitivity / specificity, %"),
        rows=[_cells(c, row) for c, row in rows],
        numbers={f"stage {c.stage}, {c.name}": row for c, row in rows},
        digests=dict(cascade.identity.digests),
        says="The unseen hospitals are not the paper's: kermany's patients are children, actualmed "
        "has few films and hannover COVID-19 only: a sensitivity, no AUC; and stage 3 learned from "
        "other patients of hannover, so that to it this hospital is not unseen. Beside the unseen "
        "hospitals stands the paper's NTUH + TMUH test "
        "before fine-tuning, beside the own test split its open test split.",
    )  # fmt: skip


def _cells(comparison: Comparison, row: Row) -> tuple[str, ...]:
    paper = (_PAPER_OPEN if comparison in _OWN else _PAPER_UNSEEN)[comparison.stage]
    return (
        str(comparison.stage), row.name, f"{row.negatives} / {row.positives}", cell(row.auc),
        cell(row.sensitivity), cell(row.specificity), " / ".join(paper),
    )  # fmt: skip
