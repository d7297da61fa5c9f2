"""The head of RESULTS.md and the paper's tables on it: computed, never written by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from train.evaluation import paper_tables, targets
from train.evaluation.bias_probes import CrossValidated, Heat, Probe
from train.evaluation.comparisons import Row
from train.evaluation.depth import Depth
from train.evaluation.localisation import Localised
from train.evaluation.metrics import Interval
from train.evaluation.subgroups import Outlines
from train.evaluation.tables import Results

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def _interval(value: float, reach: float = 0.05) -> Interval:
    return Interval(value=value, low=value - reach, high=value + reach)


def _row(name: str, auc: float, ring: float) -> Row:
    return Row(name=name, negatives=9, positives=9, auc=_interval(auc), sensitivity=None,
               specificity=None, ring=_interval(ring))  # fmt: skip


def _results(nih: float = 0.96, ring: float = 0.7) -> Results:
    return Results(
        version="0",
        digests={},
        dice={
            "jsrt + wingspan + openist": _interval(0.97, 0.01),
            "lung field, behind the heart too": _interval(0.91, 0.01),
        },
        pneumonia=[
            _row("NIH, radiologists: normal / opacity", nih, ring),
            _row("quex alone: normal", 0.98, 0.7),
        ],
        covid19=[_row("all sources: pneumonia", 0.8, 0.9)],
    )


DEPTH = Depth(
    probe=Probe(films=(9, 9), lungs_cut_out=_interval(0.9), masked=_interval(0.8),
                features=_interval(0.8)),
    heat=Heat(films=9, inside_lungs=_interval(1.0), auc=_interval(0.9),
              auc_without_hottest=_interval(0.6), auc_without_random=_interval(0.9),
              lost_to_hottest=_interval(1.5), lost_to_random=_interval(0.5),
              lost_more=_interval(1.0)),
    stage3=[CrossValidated(name="ieee8023, all", negatives=9, positives=9, auc=_interval(0.8),
                           ring=_interval(0.6))],
    calibration=[],
    places=[Localised(name="H2", films=9, pointing=_interval(0.95), chance=_interval(0.7),
                      lift=_interval(2.0))],
    groups=[],
    outlines=[],
    shared=[],
)  # fmt: skip


def _write(folder: Path, name: str, rows: dict[str, dict[str, Interval]]) -> None:
    numbers = {
        row: {key: {"value": one.value, "low": one.low, "high": one.high}
              for key, one in figures.items()}
        for row, figures in rows.items()
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps({"digests": {}, "numbers": numbers}))
    (folder / f"{name}.md").write_text("# An experiment\n")


def test_what_was_reached_follows_from_the_figures(tmp_path: Path) -> None:
    """The page says what the others would need; a target that was not measured is not reached."""
    page = targets.scoreboard(_results(), DEPTH, tmp_path)
    reached = sum("| reached |" in line for line in page.splitlines())
    assert f"{reached} of {len(targets.targets(_results(), DEPTH, tmp_path))} targets" in page
    assert "| diseased lungs, Dice on ieee8023_v7 + gb_seg | >= 0.930 | " in page
    assert "**not reached**: short by 0.020" in page
    assert "**not reached**: short by 0.140" in page
    assert "experiment table5" in page
    assert "**not reached**: not measured" in page
    needed = page.split("What would be needed")[1]
    assert "diseased lungs" in needed
    assert "H2" not in needed


@pytest.mark.parametrize(
    ("auc", "ring", "missing"),
    [
        (0.96, 0.7, []),
        (0.935, 0.7, ["short by 0.020"]),
        (0.96, 0.88, ["not shown to be above the border ring's 0.880 (0.830 to 0.930)"]),
    ],
)
def test_a_figure_counts_only_above_the_border_ring(
    tmp_path: Path, auc: float, ring: float, missing: list[str]
) -> None:
    """An AUC that the border has as well is no reading of lungs."""
    found = targets.targets(_results(auc, ring), DEPTH, tmp_path)
    (stage2,) = (one for one in found if "against radiologists" in one.name)
    assert stage2.misses == missing


def test_fine_tuning_must_gain_there_and_keep_here(tmp_path: Path) -> None:
    """Each lambda has its own rows; distillation keeps something only if all the interval does."""
    before = {"NIH alone": _interval(0.97), "kermany": _interval(0.8), "kept": _interval(0.0)}
    weak = {"NIH alone": _interval(0.95), "kermany": _interval(0.96), "kept": _interval(0.04)}
    strong = {"NIH alone": _interval(0.965), "kermany": _interval(0.94), "kept": _interval(0.06)}
    _write(tmp_path, "table5", {"before": before, "lambda1": weak, "lambda4": strong})
    found = {one.name: one.misses for one in targets.targets(_results(), DEPTH, tmp_path)}
    missed = [misses for name, misses in found.items() if "eq. 2" in name]
    assert missed == [
        [], ["short by 0.010"], ["short by 0.010"], [], ["the interval reaches down to -0.010"],
    ]  # fmt: skip


def test_outlines_count_as_a_share_of_those_that_can_be_compared(tmp_path: Path) -> None:
    """Eight warnings among 53 ill films reach the target, nine do not."""
    for suspicious, missing in ((8, []), (9, ["short by 0.019"])):
        counted = Outlines(label="pneumonia", compared=53, suspicious=suspicious)
        found = targets.targets(_results(), replace(DEPTH, outlines=[counted]), tmp_path)
        (one,) = (one for one in found if "outlines" in one.name)
        assert one.misses == missing


def test_the_network_must_say_more_than_the_view_does(tmp_path: Path) -> None:
    """The interval's lower end must lie above the AUC of calling every AP film ill."""
    views = [
        replace(_row("NIH, AP only", 0.9, 0.5), negatives=1, positives=9),
        replace(_row("NIH, PA only", 0.9, 0.5), negatives=9, positives=1),
    ]
    results = replace(_results(0.94), pneumonia=[*_results(0.94).pneumonia, *views])
    (one,) = (
        one for one in targets.targets(results, DEPTH, tmp_path) if "AP or PA alone" in one.name
    )
    assert one.least == pytest.approx(0.9)
    assert one.misses == ["the interval reaches down to 0.890"]


def test_an_experiment_that_was_run_stands_beside_the_paper(tmp_path: Path) -> None:
    """Its figures, its page, and where they are worse."""
    (table,) = (one for one in paper_tables.TABLES if one.name == "table6")
    _write(tmp_path, "table6", {
        "stage 3, fine-tuned": {"sensitivity": _interval(0.7), "specificity": _interval(0.9)},
        "border ring, fine-tuned": {"sensitivity": _interval(0.5)},
    })  # fmt: skip
    page = paper_tables.section(table, tmp_path)
    assert (
        "| stage 3, fine-tuned | 0.8182 / 0.8045 | 0.700 (0.650 to 0.750) | 0.900 (0.850 to 0.950)"
        in page
    )
    assert "| border ring, fine-tuned | - | 0.500 (0.450 to 0.550) | - |" in page
    assert "Worse than the paper's by: stage 3, fine-tuned, sensitivity: 0.118." in page
    assert "[table6](results/table6.md)" in page


@pytest.mark.parametrize("table", paper_tables.TABLES, ids=lambda table: table.name)
def test_an_experiment_that_was_not_run_says_how(table: paper_tables.Table, tmp_path: Path) -> None:
    """The paper's figures are shown all the same."""
    page = paper_tables.section(table, tmp_path)
    models = " --models models/paper" if table.name in ("table5", "table6") else ""
    assert f"not run yet, `python -m train experiment {table.name} --data DIR{models}`" in page
    assert all(f"{one:.4f}" in page for row in table.paper.values() for one in row if one)


@pytest.mark.parametrize("table", paper_tables.TABLES, ids=lambda table: table.name)
def test_the_columns_are_those_of_the_experiment(table: paper_tables.Table) -> None:
    """Each heading finds a figure in what the experiment wrote, each row of the paper a row."""
    rows = paper_tables.found(table.name, RESULTS)
    if rows is None:
        pytest.skip("not run yet")
    assert set(table.paper) <= set(rows)
    assert set(table.columns.values()) <= {key for row in rows.values() for key in row}
