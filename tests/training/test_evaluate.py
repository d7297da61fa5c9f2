"""Comparisons, and the tables and cards they end in."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from models import cam, densenet, preprocess, unet
from models import cascade as cascade_steps
from models.cascade import OperatingPoint, Settings
from models.reading import ModelIdentity
from train.data import image_io
from train.data.films import Film, LungFilm
from train.evaluation import cards, evaluate
from train.evaluation.comparisons import COMPARISONS, Comparison, Row, compare
from train.evaluation.evaluate import Prediction, ScoreLog
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
    plain = Comparison(
        stage=2, name=name, negative=comparison.negative, positive=comparison.positive, ring=False
    )
    settings = Settings(pneumonia=OperatingPoint(threshold=threshold))
    return compare(plain, PREDICTIONS, settings, [])


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


def test_a_film_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are taken from disk; other weights or another label ask for new ones."""
    read: list[str] = []

    def scores(_: object, film: Film) -> dict[str, float]:
        read.append(film.group)
        return {"lung_area": 0.3, "pneumonia": 1.25, "covid19": float("nan")}

    monkeypatch.setattr(evaluate, "_scores", scores)
    name = ["one"]
    monkeypatch.setattr(evaluate, "fingerprint", lambda *_: name[0])
    films = [prediction.film for prediction in PREDICTIONS]
    first = evaluate.predict(None, films[:2], tmp_path)  # type: ignore[arg-type]
    again = evaluate.predict(None, films[:3], tmp_path)  # type: ignore[arg-type]
    assert read == ["a", "b", "c"]
    assert again[0].pneumonia == first[0].pneumonia == 1.25
    evaluate.predict(None, [replace(films[0], label="covid")], tmp_path)  # type: ignore[arg-type]
    name[0] = "two"
    evaluate.predict(None, films[:1], tmp_path)  # type: ignore[arg-type]
    assert read == ["a", "b", "c", "a", "a"]


def test_scores_are_kept_under_the_code_that_made_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change to the films' reading, a network, a step or the measure itself asks for new ones."""
    identity = ModelIdentity(version="0", digests={"lungs": "a"}, h2_variant="cam")
    cascade = SimpleNamespace(identity=identity, settings=Settings())
    source = inspect.getsource

    def name(changed: object = None) -> str:
        def read(part: object) -> str:
            return source(part) + " " * (part is changed)  # type: ignore[arg-type]

        monkeypatch.setattr("inspect.getsource", read)
        return evaluate.fingerprint(cascade, (evaluate.predict,))  # type: ignore[arg-type]

    code = (cam, cascade_steps, densenet, image_io, preprocess, unet, evaluate.predict)
    assert name() == name(evaluate)
    assert len({name(), *map(name, code)}) == len(code) + 1


def test_a_mask_is_measured_once(tiny_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dice is taken from disk too, and is the same."""
    measured: list[str] = []

    def dice(_: object, film: LungFilm) -> float:
        measured.append(film.source)
        return 0.9 if film.source == "jsrt" else 0.8

    monkeypatch.setattr(evaluate, "_dice", dice)
    monkeypatch.setattr(evaluate, "fingerprint", lambda *_: "one")
    first = evaluate.lung_dice(None, tiny_data, "test", tiny_data)  # type: ignore[arg-type]
    again = evaluate.lung_dice(None, tiny_data, "test", tiny_data)  # type: ignore[arg-type]
    assert sorted(measured) == ["gb_seg", "jsrt"]
    assert again == first
    assert first["jsrt"].value == 0.9


def test_half_a_line_left_by_a_kill_costs_one_film(tmp_path: Path) -> None:
    """A score log cut off in a line keeps all other lines."""
    log = ScoreLog(tmp_path / "scores.jsonl")
    log.add("a", {"pneumonia": 1.0})
    log.add("b", {"pneumonia": 2.0})
    log.path.write_text(log.path.read_text()[:-4])
    log.add("c", {"pneumonia": 3.0})
    assert log.read() == {"a": {"pneumonia": 1.0}, "c": {"pneumonia": 3.0}}
