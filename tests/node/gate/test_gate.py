"""The gate's checks of header and image; the network's answers are scripted."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset
from support.film import film
from support.readings import LIMITS, frame, look, lungs, negative

from dicom_node import gate
from dicom_node.config import GateConfig
from dicom_node.domain.values import Image, RefusalCode
from dicom_node.gate.measures import exposure, lungs_at_edge
from models.reading import Look

CONFIG = GateConfig()
FILM = Image(
    pixels=np.random.default_rng(0).random((96, 80), np.float32),
    spacing_mm=None,
    notes={"window": "header"},
)


def _header(**elements: str) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def test_a_child_is_refused_and_an_adult_is_not() -> None:
    """On the birthday itself the patient is old enough; the reason does not hold the age."""
    child = gate.examine_header(_header(PatientAge="017Y"), CONFIG)
    assert child is not None
    assert child.code is RefusalCode.AGE
    assert "17" not in child.reason
    assert gate.examine_header(_header(PatientAge="018Y"), CONFIG) is None
    assert gate.examine_header(_header(PatientAge="004Y"), GateConfig(min_age_years=3)) is None


def test_an_unknown_age_is_what_the_configuration_says() -> None:
    """Accepted by default."""
    assert gate.examine_header(Dataset(), CONFIG) is None
    strict = gate.examine_header(Dataset(), GateConfig(accept_unknown_age=False))
    assert strict is not None
    assert strict.code is RefusalCode.AGE


def test_a_gate_that_is_off_asks_nothing() -> None:
    """Not even the age is checked."""
    assert gate.examine_header(film(PatientAge="003Y"), GateConfig(enabled=False)) is None


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (look(), None),
        (look("lateral"), RefusalCode.NOT_FRONTAL),
        (look("part"), RefusalCode.CROPPED),
        (look("other"), RefusalCode.NOT_CHEST),
        (look(turn=90), RefusalCode.ORIENTATION),
        (look(turn=180), RefusalCode.ORIENTATION),
        (look(inverted=1.0), None),
        (look("lateral", turn=180, inverted=1.0), RefusalCode.NOT_FRONTAL),
    ],
)
def test_each_look_has_its_code(seen: Look, code: RefusalCode | None) -> None:
    """The kind of image is checked before its orientation; polarity is corrected by default."""
    refusal = gate.examine_look(FILM, seen, CONFIG)
    assert (refusal and refusal.code) == code


def test_the_reason_for_a_turned_film_names_the_angle() -> None:
    """The reason holds the angle in degrees."""
    refusal = gate.examine_look(FILM, look(turn=270), CONFIG)
    assert refusal is not None
    assert "270" in refusal.reason


@pytest.mark.parametrize(
    ("pixels", "word"),
    [
        (np.zeros((96, 80), np.float32), "black"),
        (np.ones((96, 80), np.float32), "white"),
        (np.full((96, 80), 0.5, np.float32), "contrast"),
    ],
)
def test_a_useless_exposure_is_refused(pixels: np.ndarray, word: str) -> None:
    """Black, white and flat films are refused, whatever the network answers."""
    refusal = gate.examine_look(Image(pixels=pixels, spacing_mm=None), look(), CONFIG)
    assert refusal is not None
    assert refusal.code is RefusalCode.EXPOSURE
    assert word in refusal.reason


def test_black_borders_are_not_underexposure() -> None:
    """Exposure is measured in the middle of the film only."""
    pixels = np.zeros((200, 200), np.float32)
    pixels[50:150, 50:150] = np.linspace(0.1, 0.9, 100)
    measured = exposure(pixels)
    assert measured.black == 0
    assert measured.contrast > 0.5


def test_a_wrong_polarity_is_corrected_and_noted() -> None:
    """The image is inverted, and its other notes are kept."""
    righted = gate.correct_polarity(FILM, look(inverted=0.9), CONFIG)
    np.testing.assert_allclose(righted.pixels, 1 - FILM.pixels)
    assert righted.notes == {"window": "header", "polarity": "corrected"}
    assert gate.correct_polarity(FILM, look(inverted=0.1), CONFIG) is FILM


def test_a_wrong_polarity_is_refused_or_ignored_where_the_configuration_says_so() -> None:
    """The image is not changed in either case."""
    for polarity, code in (("refuse", RefusalCode.POLARITY), ("off", None)):
        config = GateConfig.model_validate({"polarity": polarity})
        refusal = gate.examine_look(FILM, look(inverted=0.9), config)
        assert (refusal and refusal.code) == code
        assert gate.correct_polarity(FILM, look(inverted=0.9), config) is FILM


@pytest.mark.parametrize(
    ("area", "edge", "distance", "code"),
    [
        (0.3, 0.0, 1.0, None),
        (0.0, 0.0, 1.0, RefusalCode.NOT_CHEST),
        (0.3, 0.8, 1.0, RefusalCode.CROPPED),
        (0.3, 0.0, 9.0, RefusalCode.UNFAMILIAR),
    ],
)
def test_lungs_and_distance_have_their_limits(
    area: float, edge: float, distance: float, code: RefusalCode | None
) -> None:
    """No lungs, lungs cut off at an edge, and an unfamiliar film are refused."""
    refusal = gate.examine_measures(area, edge, distance, LIMITS)
    assert (refusal and refusal.code) == code


def test_a_reading_with_both_lungs_inside_passes() -> None:
    """The measurements are taken from the reading."""
    assert gate.examine_reading(negative(), LIMITS) is None


def test_lungs_at_the_edge_are_the_worst_side() -> None:
    """Half of the top side cut is 0.5; lungs inside the film are 0."""
    where = frame(400, 400)
    inside = where.crop(lungs(where).aerated)
    assert lungs_at_edge(inside) == 0
    cut = np.zeros((100, 100), bool)
    cut[:40, 25:75] = True
    assert lungs_at_edge(cut) == pytest.approx(0.5)
