"""Comparisons, and the tables and cards they end in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from models.cascade import OperatingPoint, Settings
from train import cards
from train.data import Film
from train.evaluate import COMPARISONS, Comparison, Prediction, Row, compare, table


def _prediction(source: str, label: str, logit: float, group: str) -> Prediction:
    film = Film(path=Path(f"{group}.jpg"), split="test", label=label, source=source,
                subsource=source, view="PA", group=group, licence="none")  # fmt: skip
    return Prediction(film=film, lung_area=0.3, pneumonia=logit, covid19=-logit)


PREDICTIONS = [
    _prediction("nih", "normal", -2.0, "a"),
    _prediction("nih", "normal", 0.5, "b"),
    _prediction("nih", "pneumonia", 1.0, "c"),
    _prediction("nih", "pneumonia", 3.0, "d"),
    _prediction("hannover", "covid", -3.0, "e"),
]


def _row(name: str, *, threshold: float = 0.5) -> Row:
    comparison = next(c for c in COMPARISONS if c.name.startswith(name) and c.stage == 2)
    plain = Comparison(
        stage=2, name=name, negative=comparison.negative, positive=comparison.positive, ring=False
    )
    settings = Settings(pneumonia=OperatingPoint(threshold=threshold))
    return compare(plain, PREDICTIONS, SimpleNamespace(settings=settings), [])  # type: ignore[arg-type]


def test_a_comparison_within_one_source_ignores_the_others() -> None:
    """The NIH row counts NIH films only."""
    row = _row("NIH alone: normal")
    assert (row.negatives, row.positives) == (2, 2)
    assert row.auc is not None
    assert row.auc.value == 1.0


@pytest.mark.parametrize(
    ("threshold", "sensitivity", "specificity"), [(0.5, 1.0, 0.5), (0.7, 1.0, 1.0), (0.9, 0.5, 1.0)]
)
def test_sensitivity_and_specificity_are_at_the_shipped_threshold(
    threshold: float, sensitivity: float, specificity: float
) -> None:
    """The manifest's threshold decides."""
    row = _row("NIH alone: normal", threshold=threshold)
    assert row.sensitivity is not None
    assert row.specificity is not None
    assert (row.sensitivity.value, row.specificity.value) == (sensitivity, specificity)


def test_one_class_gives_sensitivity_and_no_auc() -> None:
    """A hospital with ill films only has no AUC and no specificity."""
    row = _row("hannover")
    assert row.auc is None
    assert row.specificity is None
    assert row.sensitivity is not None
    assert row.sensitivity.value == 0.0
    assert "| hannover | 0 / 1 | - | 0.000 (0.000 to 0.000) | - | - |" in table([row])


def test_a_figure_within_one_source_leads_each_stage() -> None:
    """The first row of either stage compares films of one source."""
    for stage in (2, 3):
        first = next(c for c in COMPARISONS if c.stage == stage)
        assert "alone" in first.name


def test_a_card_has_the_headings_and_the_command() -> None:
    """A card stands under the headings of Mitchell et al. and names what prints its numbers."""
    facts = cards.Facts(
        version="9", history="h", digest="d", operating="o", evaluation="e", training="t",
        results="| r |", command="python -m train evaluate", licence="l",
    )  # fmt: skip
    text = cards.card(cards.PNEUMONIA, facts)
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
        "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
    ]  # fmt: skip
    assert "`python -m train evaluate` prints" in text
