"""What a report says of stage 2 beside its probability: how it came about, and its explanation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from support.objects import composed, small_film
from support.readings import frame, heat_check, positive

from models.reading import HeatCheck, Reading

FIT, UNFIT = "111237", "111236"
FRAME = frame(320, 288)


def _stage_2(reading: Reading) -> dict[str, list[str]]:
    """Concept -> values, of the group "stage 2"."""
    group: Dataset = composed(small_film(), reading)[-1].ContentSequence[-1].ContentSequence[0]
    values: dict[str, list[str]] = {}
    for item in group.ContentSequence:
        value = item.get("TextValue") or ""
        if item.ValueType == "CODE":
            value = item.ConceptCodeSequence[0].CodeValue
        values.setdefault(item.ConceptNameCodeSequence[0].CodeValue, []).append(str(value))
    assert values["112039"] == ["stage 2"]
    return values


def test_a_reliable_explanation_is_coded_as_such() -> None:
    """Visual explanation: meets the standard; with what was measured, and without comment."""
    said = _stage_2(positive(FRAME))
    assert said["130401"] == [FIT]
    assert "121106" not in said
    assert "heat inside lungs=0.8100" in said["111002"]
    assert {"drop=0.0620", "random drop=-0.0130"} <= set(said["111002"])


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (heat_check(reliable=False), "24% of the heat lies inside the lungs, and with the hottest"),
    ],
)
def test_an_unreliable_explanation_is_said_in_code_and_in_words(
    check: HeatCheck, words: str
) -> None:
    """A person reads the comment, a program the code."""
    said = _stage_2(replace(positive(FRAME), heat_check=check))
    assert said["130401"] == [UNFIT]
    (comment,) = said["121106"]
    assert comment.startswith("The heatmap is unreliable as an explanation: ")
    assert words in comment


def test_an_unchecked_explanation_is_called_neither() -> None:
    """Nothing is said where nothing was looked at."""
    said = _stage_2(replace(positive(FRAME), heat_check=None))
    assert "130401" not in said


def test_the_algorithm_states_how_the_logit_became_a_probability() -> None:
    """Logit, temperature and threshold: the decision can be made again from the report."""
    reading = positive(FRAME)
    reading = replace(reading, pneumonia=replace(reading.pneumonia, temperature=1.0814))
    said = _stage_2(reading)["111002"]
    assert {"threshold=0.5", "probability=0.873000", "logit=1.92775", "temperature=1.0814"} <= set(
        said
    )
