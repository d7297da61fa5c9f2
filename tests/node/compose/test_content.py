"""What a report says of a film: first in sentences, then of each stage, with whole numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from support.objects import composed, context, small_film
from support.readings import frame, heat_check, negative, positive

from dicom_node.compose import Context
from models.reading import HeatCheck, Reading

FIT, UNFIT = "111237", "111236"
FRAME = frame(320, 288)


def _stage_2(reading: Reading) -> dict[str, list[str]]:
    """Concept -> values, of the group "Pneumonia"."""
    group: Dataset = composed(small_film(), reading)[-1].ContentSequence[-1].ContentSequence[0]
    values: dict[str, list[str]] = {}
    for item in group.ContentSequence:
        value = item.get("TextValue") or ""
        if item.ValueType == "CODE":
            value = item.ConceptCodeSequence[0].CodeValue
        values.setdefault(item.ConceptNameCodeSequence[0].CodeValue, []).append(str(value))
    assert values["112039"] == ["Pneumonia"]
    return values


def test_a_reliable_explanation_is_coded_as_such() -> None:
    """Visual explanation: meets the standard; with what was measured, and without comment."""
    said = _stage_2(positive(FRAME))
    assert said["130401"] == [FIT]
    assert "121106" not in said
    assert (
        "heat inside lungs=0.8100 drop=0.0620 log odds drop=0.4710 "
        "random drop=-0.0130 random log odds drop=-0.1240"
    ) in said["111002"][0]


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
    said = _stage_2(reading)["111002"][0]
    assert said.startswith(
        "threshold=0.5 point=balanced probability=0.873000 logit=1.92775 temperature=1.0814 "
    )


def _summary(reading: Reading, what: Context | None = None, **notes: str) -> str:
    report = composed(small_film(PatientAge="050Y"), reading, what, **notes)[-1]
    first = next(item for item in report.ContentSequence if item.RelationshipType == "CONTAINS")
    assert first.ConceptNameCodeSequence[0].CodeMeaning == "Narrative Summary"
    return str(first.TextValue)


def test_the_report_begins_with_finding_score_cut_off_and_place() -> None:
    """Who reads only the first line has read the result."""
    assert _summary(positive(FRAME)).startswith(
        "Pneumonia above cut-off: score 87 of 100, cut-off 50, right lower zone and left lower "
        "zone. COVID-19 pattern above cut-off: score 71 of 100, cut-off 40. "
    )


def test_below_the_cut_off_the_sentence_names_no_place_and_says_what_did_not_run() -> None:
    """COVID-19 is not called absent: it was not looked for."""
    said = _summary(negative(FRAME))
    assert said.startswith(
        "Pneumonia below cut-off: score 8 of 100, cut-off 50. COVID-19 pattern not assessed. "
    )
    assert said.endswith("Research software, not for diagnostic use.")


def test_the_report_is_english_whatever_the_pictures_speak() -> None:
    """Its language is stated once, for all of it."""
    assert _summary(positive(FRAME), context(language="de")).startswith("Pneumonia above cut-off")


def test_a_warning_of_the_pixels_is_in_the_summary_and_in_the_quality() -> None:
    """The group of the image quality does not contradict what stands above it."""
    for notes, rating in (
        ({}, FIT),
        ({"polarity": "corrected"}, UNFIT),
        ({"decoding": "?"}, UNFIT),
    ):
        report = composed(small_film(), negative(FRAME), None, **notes)[-1]
        group = report.ContentSequence[-1].ContentSequence[-1]
        codes = [i.ConceptCodeSequence[0].CodeValue for i in group.ContentSequence
                 if i.ValueType == "CODE"]  # fmt: skip
        assert rating in codes
    assert "Black and white were exchanged" in _summary(negative(FRAME), polarity="corrected")


def test_every_score_is_a_whole_number_and_no_outline_goes_round_both_lungs() -> None:
    """A model of this size carries no decimals; a region that means nothing hides those that do."""
    report = composed(small_film(), positive(FRAME))[-1]
    for group in report.ContentSequence[-1].ContentSequence:
        for item in group.ContentSequence:
            if item.ValueType == "NUM":
                assert item.MeasuredValueSequence[0].NumericValue % 1 == 0
                for place in item.get("ContentSequence", ()):
                    assert max(place.GraphicData[::2]) < 0.05 * 288


def test_digests_are_in_the_last_group_alone() -> None:
    """They are for programs."""
    *others, last = composed(small_film(), positive(FRAME))[-1].ContentSequence[-1].ContentSequence
    with_digests = [
        group
        for group in (*others, last)
        if any("sha256" in item.get("TextValue", "") for item in group.ContentSequence)
    ]
    assert with_digests == [last]


def test_regions_are_named_with_their_place_and_every_name_is_printed() -> None:
    """In continuous content DCMTK prints no names of measurements."""
    report = composed(small_film(), positive(FRAME))[-1]
    names = [
        item.TextValue
        for group in report.ContentSequence[-1].ContentSequence
        for item in group.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "112039"
    ]
    assert names == [
        "Pneumonia", "Pneumonia region 1: right lower zone",
        "Pneumonia region 2: left lower zone", "COVID-19",
        "COVID-19 region 1: right lower zone", "Image quality",
    ]  # fmt: skip
    containers = [item for item in report.iterall() if item.keyword == "ContinuityOfContent"]
    assert {item.value for item in containers} == {"SEPARATE"}
