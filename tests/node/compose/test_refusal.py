"""A refused radiograph is answered with a report that says why, and with no score."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from support.objects import composed, context, small_film, through_disk
from support.readings import MODEL, frame, negative

from dicom_node import compose
from dicom_node.check_objects import check
from dicom_node.config import ReportConfig
from dicom_node.domain.values import Refusal, RefusalCode
from dicom_node.explain.refusals import SHORT

POSITIONING, PROCESSING, SOFTWARE, OTHER = "111209", "111219", "111218", "111220"  # CID 6135
FINDINGS = {
    RefusalCode.BODY_PART: POSITIONING,
    RefusalCode.VIEW: POSITIONING,
    RefusalCode.NOT_CHEST: POSITIONING,
    RefusalCode.NOT_FRONTAL: POSITIONING,
    RefusalCode.ORIENTATION: POSITIONING,
    RefusalCode.CROPPED: POSITIONING,
    RefusalCode.PHOTOMETRIC: PROCESSING,
    RefusalCode.POLARITY: PROCESSING,
    RefusalCode.UNREADABLE: SOFTWARE,
    RefusalCode.SIZE: OTHER,
    RefusalCode.FRAMES: OTHER,
    RefusalCode.AGE: OTHER,
    RefusalCode.EXPOSURE: OTHER,
    RefusalCode.UNFAMILIAR: OTHER,
}


def _refuse(
    source: Dataset, code: RefusalCode = RefusalCode.VIEW, what: compose.Context | None = None
) -> list[Dataset]:
    refusal = Refusal(code=code, reason="the view is LL")
    return compose.compose_refusal(source, refusal, MODEL, what or context())


def _gate(report: Dataset) -> dict[str, str]:
    """Concept -> value, of the group "Image quality"."""
    for group in report.ContentSequence[-1].ContentSequence:
        items = {item.ConceptNameCodeSequence[0].CodeValue: item for item in group.ContentSequence}
        if items["112039"].TextValue == "Image quality":
            return {
                concept: item.ConceptCodeSequence[0].CodeValue
                if item.ValueType == "CODE"
                else str(item.get("TextValue", ""))
                for concept, item in items.items()
            }
    raise AssertionError("the report says nothing of the image quality")


@pytest.mark.parametrize(("code", "finding"), FINDINGS.items())
def test_each_reason_has_its_code(code: RefusalCode, finding: str) -> None:
    """Image Quality: does not meet the standard, because of a finding of CID 6135."""
    *_, report = _refuse(small_film(), code)
    gate = _gate(report)
    assert (gate["121071"], gate["111029"], gate["111052"]) == ("111101", "111236", finding)


@pytest.mark.parametrize("code", sorted(set(RefusalCode) - set(FINDINGS)))
def test_what_is_no_radiograph_gets_no_report(code: RefusalCode) -> None:
    """Other modalities, other people's results, a twin for processing, a file that is none."""
    assert _refuse(small_film(), code) == []


def test_the_configuration_can_want_no_refusals() -> None:
    """`report.refusals` false: silence towards the archive."""
    assert _refuse(small_film(), what=context(ReportConfig(refusals=False))) == []


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Rows"]
)
def test_a_film_of_no_study_or_size_gets_no_report(keyword: str) -> None:
    """Nowhere to file it, nothing to point at."""
    source = small_film()
    del source[keyword]
    assert _refuse(source) == []


def test_the_comment_is_a_whole_sentence_that_says_what_this_software_is() -> None:
    """The reason as `show` prints it, and that it is not for diagnosis."""
    *_, report = _refuse(small_film())
    assert _gate(report)["121106"] == (
        "Not read: the view is LL. There is no probability. "
        "Research software, not for diagnostic use."
    )


def test_a_refusal_belongs_to_the_film_s_study_and_names_the_film_as_evidence(
    tmp_path: Path,
) -> None:
    """Same patient and study; the film is all it refers to; the node's own check passes it."""
    source = small_film()
    picture, report = _refuse(source)
    assert report.StudyInstanceUID == source.StudyInstanceUID
    assert (report.SeriesNumber, report.Modality) == (9901, "SR")
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    assert [
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ] == [source.SOPInstanceUID, picture.SOPInstanceUID]
    assert check(through_disk([picture, report], tmp_path), source) == []


def test_a_refusal_is_a_picture_too_and_its_series_says_so_first() -> None:
    """Orthanc's viewer shows no report: the picture is all that its user sees."""
    picture = _refuse(small_film(), RefusalCode.AGE)[0]
    assert (picture.SeriesNumber, picture.Modality) == (9900, "OT")
    assert picture.SeriesDescription == "AI: not read: child - NOT FOR DIAGNOSTIC USE"
    assert "NOT READ" in picture.ImageComments


@pytest.mark.parametrize("code", FINDINGS)
def test_the_first_24_letters_of_the_series_say_why(code: RefusalCode) -> None:
    """A list of series shows no more."""
    description = _refuse(small_film(), code)[0].SeriesDescription
    assert SHORT[code].rstrip() in description[:24]


def test_a_refusal_is_about_the_whole_film_and_says_where() -> None:
    """A viewer that wants coordinates of every group gets those of the film's frame."""
    *_, report = _refuse(small_film())
    (group,) = report.ContentSequence[-1].ContentSequence
    (region,) = [item for item in group.ContentSequence if item.ValueType == "SCOORD"]
    assert region.GraphicType == "POLYLINE"
    assert list(region.GraphicData) == [0, 0, 288, 0, 288, 320, 0, 320, 0, 0]


def test_a_refusal_never_has_the_uid_of_a_reading_or_of_another_refusal() -> None:
    """The same film may be read under another configuration of the selection."""
    source = small_film()
    view, view_again = _refuse(source)[-1], _refuse(source)[-1]
    size = _refuse(source, RefusalCode.SIZE)[-1]
    read = composed(source)[-1]
    assert view.SOPInstanceUID == view_again.SOPInstanceUID
    assert len({ds.SOPInstanceUID for ds in (view, size, read)}) == 3
    assert len({ds.SeriesInstanceUID for ds in (view, size, read)}) == 1


def test_every_reading_says_that_the_film_was_usable() -> None:
    """Positive or negative."""
    for reading in (None, negative(frame(320, 288))):
        gate = _gate(composed(small_film(), reading)[-1])
        assert (gate["121071"], gate["111029"]) == ("111101", "111237")
        assert "121106" not in gate


def test_a_corrected_polarity_is_reported() -> None:
    """Who looks at the film sees it black for white."""
    gate = _gate(composed(small_film(), polarity="corrected")[-1])
    assert gate["111029"] == "111236"
    assert "black and white exchanged" in gate["121106"]
