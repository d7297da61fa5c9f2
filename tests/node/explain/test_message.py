"""What is said of a reading: states, scores, places, warnings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import readings

from dicom_node.explain.message import Earlier, Facts, Message, State, answer, evidence, message
from dicom_node.explain.phrases import WORDS
from dicom_node.explain.places import Place, place_of, smaller_lung
from models.reading import Asymmetry, HeatCheck, Reading

FRAME = readings.frame()
PLACES = (Place("right", "lower"), Place("left", "upper"))


def said(reading: Reading, facts: Facts | None = None, **notes: str) -> Message:
    places = PLACES if reading.pneumonia.positive else ()
    return message(reading, places, notes, facts or Facts(view="PA"))


@pytest.mark.parametrize(
    ("probability", "threshold", "state"),
    [
        (0.97, 0.36, State.ABOVE),
        (0.42, 0.36, State.ABOVE),
        (0.41, 0.36, State.JUST_ABOVE),
        (0.36, 0.36, State.JUST_ABOVE),
        (0.359, 0.36, State.JUST_BELOW),  # both round to 36, and the film is below
        (0.31, 0.36, State.JUST_BELOW),
        (0.30, 0.36, State.BELOW),
        (0.0, 0.36, State.BELOW),
    ],
)
def test_a_score_within_five_points_of_its_cut_off_is_near_it(
    probability: float, threshold: float, state: State
) -> None:
    """Above or below by the decision itself, near by the numbers that are printed."""
    stage = replace(readings.stage(0.5, threshold), probability=probability)
    assert answer("Pneumonia", stage, WORDS["en"]).state is state


def test_a_stage_that_did_not_run_is_not_assessed() -> None:
    """Never "below"."""
    covid19 = said(readings.negative()).covid19
    assert (covid19.state, covid19.score, covid19.cut_off) == (State.NOT_ASSESSED, None, None)
    assert covid19.said == "not assessed"


def test_scores_and_evidence_are_whole_points() -> None:
    """A model of this size carries no decimals; heat is scaled by what is printed."""
    reading = readings.reading(FRAME, pneumonia=0.8734, covid19=0.2)
    assert said(reading).pneumonia.score == 87
    assert evidence(reading.pneumonia) == 0.87


def test_places_are_in_words_and_in_order() -> None:
    """Numbered like the outlines."""
    assert said(readings.positive()).places == ("Right lower zone", "Left upper zone")
    german = message(readings.positive(), PLACES, {}, Facts(), "de")
    assert german.places == ("Rechts unten", "Links oben")


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (HeatCheck(inside_lungs=0.7, drop=0.2, random_drop=0.0, reliable=True), "30 %"),
        (HeatCheck(inside_lungs=0.9, drop=0.0, random_drop=0.0, reliable=False), "NOT confirmed"),
        (HeatCheck(inside_lungs=0.9, drop=0.2, random_drop=0.0, reliable=True), None),
    ],
)
def test_a_doubtful_place_is_warned_of_once(check: HeatCheck, words: str | None) -> None:
    """Heat beside the lungs, or a score that stays without it."""
    warnings = said(replace(readings.positive(), heat_check=check)).warnings
    assert [words in each for each in warnings if words] == ([True] if words else [])


def test_an_untested_place_says_so() -> None:
    """In the small print of a film with outlines."""
    unchecked = replace(readings.positive(), heat_check=None)
    assert "Place of the heat: not tested" in said(unchecked).small_print
    assert "Place of the heat: not tested" not in said(readings.positive()).small_print


def test_a_film_below_its_cut_off_has_no_place_to_doubt() -> None:
    """Nothing is outlined, so nothing is warned of."""
    check = HeatCheck(inside_lungs=0.1, drop=None, random_drop=None, reliable=None)
    assert said(replace(readings.negative(), heat_check=check)).warnings == ()


@pytest.mark.parametrize(
    ("facts", "notes", "words"),
    [
        (Facts(age_stated=False), {}, "Age not stated"),
        (Facts(second_film=True), {}, "same UID"),
        (Facts(), {"polarity": "corrected"}, "Black and white"),
        (Facts(), {"mirrored": "R\\F"}, "mirrored"),
        (Facts(), {"decoding": "with errors"}, "errors"),
    ],
)
def test_what_the_reader_must_know_is_in_a_box(
    facts: Facts, notes: dict[str, str], words: str
) -> None:
    """One warning for each."""
    (warning,) = said(readings.negative(), facts, **notes).warnings
    assert words in warning


def test_an_outline_that_leaves_much_out_names_its_side() -> None:
    """The smaller lung, in the words of who reads the film."""
    reading = readings.negative()
    rows, columns = np.mgrid[0 : FRAME.size, 0 : FRAME.size]
    right = (abs(columns - 160) < 50) & (abs(rows - 250) < 150)
    left = (abs(columns - 350) < 50) & (abs(rows - 180) < 80)
    lungs = replace(
        reading.lungs,
        mask=right | left,
        aerated=right | left,
        asymmetry=Asymmetry(area_ratio=0.53, base_difference=0.2),
    )
    reading = replace(reading, lungs=lungs)
    assert smaller_lung(reading) == "left"
    (warning,) = said(reading).warnings
    assert warning.startswith("Left lung outline is small or ends high (53 % of the right)")


@pytest.mark.parametrize(("site", "count"), [(None, 16), (30, 30)])
def test_what_the_cut_off_costs_is_the_sites_number_or_the_cards(
    site: int | None, count: int
) -> None:
    """Of 100 normal films so many are above it."""
    reading = readings.negative()
    reading = replace(reading, pneumonia=replace(reading.pneumonia, normals_above=0.1633))
    lines = said(reading, Facts(normals_above=site)).small_print
    assert f"Of 100 normal films {count} are above this cut-off" in lines


def test_earlier_results_are_compared_with_this_one() -> None:
    """One line each."""
    facts = Facts(earlier=(Earlier(date="2026-10-02", score=31),))
    assert said(readings.positive(), facts).earlier == ("2026-10-02: 31, now 87",)


@pytest.mark.parametrize(
    ("x", "y", "place"),
    [
        (0.3, 0.2, Place("right", "upper")),
        (0.3, 0.48, Place("right", "middle")),
        (0.3, 0.75, Place("right", "lower")),
        (0.7, 0.2, Place("left", "upper")),
        (0.7, 0.75, Place("left", "lower")),
    ],
)
def test_a_place_is_a_side_and_a_third_of_its_lung(x: float, y: float, place: Place) -> None:
    """The patient's right is at the reader's left."""
    heat = readings.heat(FRAME, (x, y, 0.03, 1.0))
    assert place_of(heat.astype(np.float64), readings.lungs(FRAME).aerated) == place
