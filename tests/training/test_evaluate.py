"""Comparisons, and the tables and cards they end in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from support.fake_networks import DarkLungs, labelled_film, lungs, reading_cascade

from models.cascade import Cascade, Settings
from models.operating import OperatingPoint
from train.data.films import Film, load_pixels, read_films
from train.evaluation import cards, evaluate, store
from train.evaluation.comparisons import COMPARISONS, Row, compare, within
from train.evaluation.evaluate import Prediction
from train.evaluation.store import Measure, NumberLog
from train.evaluation.tables import table


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
    settings = Settings(pneumonia=OperatingPoint(threshold=threshold))
    return replace(compare(comparison, PREDICTIONS, settings), name=name)


def test_a_comparison_within_one_source_ignores_the_others() -> None:
    """The NIH row counts NIH films only."""
    row = _row("NIH, radiologists")
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
    row = _row("NIH, radiologists", threshold=threshold)
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
    assert "| hannover | 0 / 1 | - | 0.000 (0.000 to 0.793) | - | - |" in table([row])


def test_a_figure_within_one_source_leads_each_stage() -> None:
    """The first row of either stage compares films of one source."""
    for stage in (2, 3):
        first = next(c for c in COMPARISONS if c.stage == stage)
        assert first.name.startswith(("NIH, radiologists", "ieee8023 alone"))


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
    again = cards.with_results(text, "python -m train evaluate --data DIR", "| 0.7 |")
    assert "| 0.7 |" in again
    assert "| r |" not in again
    assert [line for line in again.splitlines() if line.startswith("## ")] == [
        line for line in text.splitlines() if line.startswith("## ")
    ]


def test_a_card_without_the_section_is_not_rewritten() -> None:
    """A text that is no card is refused."""
    with pytest.raises(ValueError, match="no section"):
        cards.with_results("# A text", "c", "r")


def _read_by(cascade: Cascade) -> int:
    """How many films the cascade's first network was shown."""
    assert isinstance(cascade.lungs, DarkLungs)
    return cascade.lungs.films


def test_a_film_is_read_once(tiny_data: Path, tmp_path: Path) -> None:
    """Scores are taken from disk; a film with another label is read again, for stage 3 may run."""
    cascade, films = reading_cascade(), read_films(tiny_data, ("test",))
    first = evaluate.predict(cascade, films[:2], tmp_path)
    again = evaluate.predict(cascade, films[:3], tmp_path)
    assert [one.pneumonia for one in again[:2]] == [one.pneumonia for one in first]
    assert _read_by(cascade) == 3
    evaluate.predict(cascade, [replace(films[0], label="covid")], tmp_path)
    assert _read_by(cascade) == 4


def test_without_a_folder_nothing_is_kept(tiny_data: Path) -> None:
    """Two evaluations without a folder read every film twice."""
    cascade, films = reading_cascade(), read_films(tiny_data, ("test",))[:2]
    evaluate.predict(cascade, films)
    evaluate.predict(cascade, films)
    assert _read_by(cascade) == 4


def test_stage_3_runs_on_pneumonia_films_alone(tiny_data: Path) -> None:
    """A normal film has no COVID-19 logit; of the others the right side is the label's."""
    for one in evaluate.predict(reading_cascade(), read_films(tiny_data, ("test",))):
        if one.film.label == "normal":
            assert math.isnan(one.covid19)
        else:
            assert (one.covid19 > 0) == (one.film.label == "covid")
        assert (one.pneumonia > 0) == (one.film.label != "normal")
        assert one.lung_area == pytest.approx(lungs().mean(), abs=0.01)


def test_an_evaluation_takes_the_steps_of_a_reading(tiny_data: Path) -> None:
    """Its logits are those that the node's own reading of the film holds."""
    cascade = reading_cascade()
    (film,) = [f for f in read_films(tiny_data, ("test",)) if f.label == "covid"][:1]
    (scored,) = evaluate.predict(cascade, [film])
    reading = cascade.read(load_pixels(film.path), force_stage3=True)
    assert reading.covid19 is not None
    assert scored.pneumonia == pytest.approx(reading.pneumonia.logit)
    assert scored.covid19 == pytest.approx(reading.covid19.logit)


CHANGES: dict[str, Callable[[Cascade], None]] = {
    "weights of stage 1": lambda c: _other_weights(c, "lungs"),
    "weights of stage 2": lambda c: _other_weights(c, "pneumonia"),
    "frame": lambda c: _other_settings(c, size=128),
    "margin": lambda c: _other_settings(c, mask_margin=5),
    "lung threshold": lambda c: _other_settings(c, lung_threshold=0.4),
    "heatmap": lambda c: _other_settings(c, h2="paper-eq1"),
}


def _other_weights(cascade: Cascade, network: str) -> None:
    digests = {**cascade.identity.digests, network: "f" * 64}
    cascade.identity = replace(cascade.identity, digests=digests)


def _other_settings(cascade: Cascade, **changes: object) -> None:
    cascade.settings = replace(cascade.settings, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", CHANGES)
def test_numbers_of_another_cascade_are_not_taken(change: str) -> None:
    """Whatever shapes a logit is part of the name under which it is kept."""
    cascade, measure = reading_cascade(), Measure(name="m", version=1)
    before = store.fingerprint(cascade, measure)
    CHANGES[change](cascade)
    assert store.fingerprint(cascade, measure) != before


def test_a_new_version_of_a_measure_asks_for_new_numbers() -> None:
    """A measure that computes something else raises its version; the old numbers stay unused."""
    cascade = reading_cascade()
    names = {store.fingerprint(cascade, Measure(name="m", version=version)) for version in (1, 2)}
    assert len(names) == 2


def test_a_moved_threshold_costs_no_evaluation() -> None:
    """Thresholds are applied to kept logits; a network that a measure ignores may change."""
    cascade, measure = reading_cascade(), Measure(name="m", version=1, networks=("lungs",))
    before = store.fingerprint(cascade, measure)
    _other_settings(cascade, pneumonia=OperatingPoint(threshold=0.7, temperature=2.0))
    _other_weights(cascade, "covid19")
    assert store.fingerprint(cascade, measure) == before


def test_a_mask_is_measured_once(tiny_data: Path, tmp_path: Path) -> None:
    """Dice is taken from disk too, and is the same; outlines that agree have a Dice near 1."""
    cascade = reading_cascade()
    first = evaluate.lung_dice(cascade, tiny_data, "test", tmp_path)
    assert evaluate.lung_dice(cascade, tiny_data, "test", tmp_path) == first
    assert _read_by(cascade) == 2
    assert set(first) >= {"jsrt", "gb_seg", "aerated lung, heart left out"}
    assert first["jsrt"].value > 0.98


def test_half_a_line_left_by_a_kill_costs_one_film(tmp_path: Path) -> None:
    """A log cut off in a line keeps all other lines."""
    log = NumberLog(tmp_path / "scores.jsonl")
    log.add("a", {"pneumonia": 1.0})
    log.add("b", {"pneumonia": 2.0})
    log.path.write_text(log.path.read_text()[:-4])
    log.add("c", {"pneumonia": 3.0})
    assert log.read() == {"a": {"pneumonia": 1.0}, "c": {"pneumonia": 3.0}}


def test_a_comparison_takes_the_view_and_subsource_it_names() -> None:
    """Films of another view, sub-source or source belong to neither side."""
    one = within(3, "x", ("pneumonia",), ("covid",), "nih", view="AP", subsources=("eurorad",))
    here = partial(labelled_film, view="AP", subsource="eurorad")
    films = [
        here("pneumonia"),
        here("covid"),
        here("covid", view="PA"),
        here("covid", subsource="figure1"),
        here("covid", "quex"),
        here("normal"),
    ]
    chosen, positive = one.sides(films)
    assert chosen == [0, 1]
    assert positive.tolist() == [False, True]


@pytest.mark.parametrize(("negative", "positive"), [("text-normal", "covid"), ("normal", "text-x")])
def test_a_comparison_refuses_labels_mined_from_text(negative: str, positive: str) -> None:
    """A mined label is refused on either side."""
    with pytest.raises(ValueError, match="mined from report text"):
        within(2, "x", (negative,), (positive,), "nih")
