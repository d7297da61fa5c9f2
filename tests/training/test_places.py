"""Heat against drawn infections, operating points, and what each group of patients is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.fake_networks import SIDE, draw, labelled_film, lungs, opacity, reading_cascade

from models.cascade import Settings
from models.operating import OperatingPoint
from models.preprocess import dilate
from train.data.films import Film
from train.evaluation import localisation, operating, subgroups
from train.evaluation.calibration import calibrate
from train.evaluation.comparisons import COMPARISONS
from train.evaluation.evaluate import Prediction


def _masks() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lungs, drawn = np.zeros((40, 40), np.bool_), np.zeros((40, 40), np.bool_)
    lungs[5:35, 5:35] = True
    drawn[5:15, 5:15] = True
    near = np.zeros_like(drawn)
    near[3:17, 3:17] = True
    return lungs, drawn, near


def test_heat_on_the_infection_is_a_hit_with_a_lift() -> None:
    """Twice as warm inside as in the rest of the lungs is a lift of two; beside it is no hit."""
    lungs, drawn, near = _masks()
    heat = np.where(drawn, 1.0, 0.5).astype(np.float32) * lungs
    hot, lift = localisation.place(heat, lungs, drawn, near)
    assert hot == 1.0
    assert lift == pytest.approx(2.0, abs=1e-3)
    heat[30, 30] = 5.0
    assert localisation.place(heat, lungs, drawn, near)[0] == 0.0


def test_no_heat_points_nowhere() -> None:
    """It is counted as a miss and not left out."""
    lungs, drawn, near = _masks()
    assert localisation.place(np.zeros((40, 40), np.float32), lungs, drawn, near) == (0.0, 0.0)


def _predictions(logits: dict[str, list[float]]) -> list[Prediction]:
    return [
        Prediction(
            film=Film(path=Path(f"{label}{i}"), split="val", label=label, source="nih",
                      subsource="", view="AP" if i % 2 else "PA", group=f"{label}{i}",
                      licence="", age="45", sex="F"),
            lung_area=0.3, pneumonia=z, covid19=0.0,
        )
        for label, values in logits.items() for i, z in enumerate(values)
    ]  # fmt: skip


def test_films_of_another_source_keep_a_network_from_being_too_sure() -> None:
    """A few films that are separated wholly ask for any slope; more films, for their own."""
    few = _predictions({"normal": [-3.0, -2.0, -1.0], "pneumonia": [1.0, 2.0, 3.0]})
    more = _predictions({"normal": [-2.0, -1.0, 1.0], "pneumonia": [-1.0, 1.0, 2.0]})

    def temperature(also: list[Prediction]) -> float:
        logits = [p.pneumonia for p in few]
        found = operating.fit(few, logits, lambda film: film.label == "pneumonia", also=also)
        assert float(str(found["bias"])) == pytest.approx(0.0, abs=1e-3)
        return float(str(found["temperature"]))

    assert temperature(more) > 2 * temperature([])


def test_operating_points_are_in_their_order() -> None:
    """`sensitive` finds 95 % of the ill, `specific` leaves 95 % of the well, balanced between."""
    rng = np.random.default_rng(0)
    predictions = _predictions(
        {"normal": (rng.normal(-1, 1, 200)).tolist(), "pneumonia": rng.normal(1, 1, 200).tolist()}
    )
    logits = np.array([p.pneumonia for p in predictions])
    ill = np.array([p.film.label == "pneumonia" for p in predictions])
    found = operating.fit(predictions, logits.tolist(), lambda film: film.label == "pneumonia")
    points = found["points"]
    assert isinstance(points, dict)
    point = OperatingPoint(
        threshold=points["sensitive"],
        temperature=float(str(found["temperature"])),
        bias=float(str(found["bias"])),
    )
    said = np.array([point.decide(z).probability for z in logits])
    assert points["sensitive"] < float(str(found["threshold"])) < points["specific"]
    assert (said[ill] >= points["sensitive"]).mean() == pytest.approx(0.95, abs=0.01)
    assert (said[~ill] < points["specific"]).mean() == pytest.approx(0.95, abs=0.01)
    assert said.mean() == pytest.approx(0.5, abs=0.02)


def test_calibration_is_measured_at_the_films_own_prevalence() -> None:
    """Probabilities that hold for as many ill films as well ones hold for a quarter of ill ones."""
    says = {"normal": [1.0] * 81 + [-1.0] * 219, "pneumonia": [1.0] * 73 + [-1.0] * 27}
    predictions = _predictions(says)
    np.random.default_rng(0).shuffle(predictions)
    settings = Settings(pneumonia=OperatingPoint(threshold=0.5))
    found = calibrate(COMPARISONS[0], predictions, settings)
    assert found.ece.value < 0.06  # unmoved: 0.25
    assert [part.said < 0.5 for part in found.bins] == [True] * 5


def test_each_group_says_who_of_it_is_called_ill() -> None:
    """Films that are neither normal nor pneumonia stand beside the others."""
    predictions = _predictions(
        {"normal": [-2, -2, 2, -2], "pneumonia": [2, 2], "not-normal": [2, -2]}
    )
    rows = subgroups.groups(predictions, Settings(pneumonia=OperatingPoint(threshold=0.5)))
    by_name = {row.name: row for row in rows}
    assert set(by_name) == {"all", "view AP", "view PA", "sex F", "age 40 to 49"}
    assert by_name["all"].called["normal"].value == 0.25
    assert by_name["all"].called["not-normal"].value == 0.5
    assert by_name["view AP"].called["normal"].value == 0.0
    assert "| view PA | 0.500 (" in subgroups.table(rows)


def test_heat_of_a_network_that_reads_the_film_is_where_the_infection_was_drawn(
    tmp_path: Path,
) -> None:
    """Every hottest pixel is a hit, chance is the infection's share of the lungs, films count once.

    Films without a drawn infection are left out.
    """
    films = []
    for i, label in enumerate(("covid", "covid", "normal")):
        draw(tmp_path / f"{i}.png", label, i)
        mask = tmp_path / f"{i}_infection.png" if label == "covid" else None
        films.append(labelled_film(label, number=i, path=tmp_path / f"{i}.png", infection=mask))
    cascade = reading_cascade()
    h2, h3 = localisation.localise(cascade, films, tmp_path / "out")
    assert (h2.films, h3.films) == (2, 2)
    assert h2.pointing.value == h3.pointing.value == 1.0
    near = dilate(torch.from_numpy(opacity("covid"))[None, None].float(), round(0.06 * SIDE))
    assert h2.chance.value == pytest.approx(float(near[0, 0].numpy()[lungs()].mean()), abs=0.03)
    assert h2.lift.value > 2.0
    assert localisation.localise(cascade, films, tmp_path / "out") == [h2, h3]
