"""The report for viewers that only print text."""

from __future__ import annotations

from dataclasses import replace

from pydicom.dataset import Dataset
from support import readings
from support.objects import composed, context, small_film

from dicom_node import compose
from dicom_node.config import ReportConfig
from dicom_node.domain.values import Refusal, RefusalCode
from models.reading import HeatCheck, Reading

BASIC = context(ReportConfig(sop_class="basic_text"))
FRAME = readings.frame(320, 288)


def _report(reading: Reading, **notes: str) -> Dataset:
    return composed(small_film(), reading, BASIC, **notes)[-1]


def _text(report: Dataset) -> str:
    """The one narrative."""
    (item,) = [item for item in report.ContentSequence if item.RelationshipType == "CONTAINS"]
    concept = item.ConceptNameCodeSequence[0]
    assert (item.ValueType, concept.CodeValue) == ("TEXT", "111412")
    return str(item["TextValue"].value)


def test_it_is_a_basic_text_document_with_a_title() -> None:
    """Of a class that holds neither numbers nor outlines."""
    report = _report(readings.positive(FRAME))
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.11"
    title = report.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("18748-4", "LN")
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert {item.ValueType for item in report.ContentSequence} == {"CODE", "TEXT", "UIDREF"}


def test_a_positive_film_has_both_probabilities_against_their_thresholds() -> None:
    """The same message as the coded report's, in words."""
    text = _text(_report(readings.positive(FRAME)))
    assert "Pneumonia above cut-off: score 87 of 100, cut-off 50, right lower zone" in text
    assert "COVID-19 pattern above cut-off: score 71 of 100, cut-off 40." in text
    assert "Research software, not for diagnostic use." in text
    assert readings.MODEL.digest in text


def test_a_negative_film_says_that_stage_3_did_not_run() -> None:
    """Not that COVID-19 is absent."""
    text = _text(_report(readings.negative(FRAME)))
    assert "Pneumonia below cut-off: score 8 of 100, cut-off 50." in text
    assert "COVID-19 pattern not assessed." in text
    assert "score" not in text.partition("COVID-19")[2]


def test_an_unreliable_heatmap_and_a_corrected_polarity_are_reported() -> None:
    """What the coded report comments on is not lost."""
    check = HeatCheck(inside_lungs=0.2, drop=0.0, random_drop=0.1, reliable=False)
    reading = replace(readings.positive(FRAME), heat_check=check)
    text = _text(_report(reading, polarity="corrected"))
    assert "The heatmap is unreliable as an explanation" in text
    assert "black and white exchanged" in text
    assert "unreliable" not in _text(_report(readings.positive(FRAME)))


def test_a_refusal_is_reported_too() -> None:
    """With its reason, and without a probability."""
    refusal = Refusal(code=RefusalCode.VIEW, reason="the view is LL")
    report = compose.compose_refusal(small_film(), refusal, readings.MODEL, BASIC)[-1]
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.11"
    assert "Not read: the view is LL. There is no probability." in _text(report)
