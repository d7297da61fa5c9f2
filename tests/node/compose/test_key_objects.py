"""The key object selection: what it lists, and what it says."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from support import readings
from support.objects import composed, context, fixed_film, through_disk


def _key_objects(source: Dataset, folder: Path, *, positive: bool) -> tuple[Dataset, list[Dataset]]:
    """The key objects as read again, and the objects they are chosen from."""
    made = readings.positive if positive else readings.negative
    frame = readings.frame(source.Rows, source.Columns)
    *others, ds = through_disk(
        composed(source, made(frame), context(key_objects=True, segmentation=True)), folder
    )
    return ds, others


def _items(ds: Dataset, value_type: str) -> list[Dataset]:
    return [item for item in ds.ContentSequence if item.ValueType == value_type]


def _named(items: list[Dataset]) -> list[str]:
    return [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items]


def test_film_report_and_overview_are_of_interest(tmp_path: Path) -> None:
    """And the mask; not every picture: only the first, which shows all of them."""
    source = fixed_film()
    ds, others = _key_objects(source, tmp_path, positive=True)
    title = ds.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113000", "DCM")
    assert ds.ContentTemplateSequence[0].TemplateIdentifier == "2010"
    mask, report = others[-2:]
    chosen = [source.SOPInstanceUID, others[0].SOPInstanceUID, mask.SOPInstanceUID]
    assert (_named(_items(ds, "IMAGE")), mask.Modality) == (chosen, "SEG")
    assert _named(_items(ds, "COMPOSITE")) == [report.SOPInstanceUID]


def test_what_it_lists_is_its_evidence_and_no_more(tmp_path: Path) -> None:
    """Under the study and series each instance belongs to."""
    source = fixed_film()
    ds, others = _key_objects(source, tmp_path, positive=True)
    by_uid = {each.SOPInstanceUID: each for each in (source, *others)}
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == source.StudyInstanceUID
    listed = []
    for series in study.ReferencedSeriesSequence:
        for item in series.ReferencedSOPSequence:
            listed.append(item.ReferencedSOPInstanceUID)
            instance = by_uid[item.ReferencedSOPInstanceUID]
            assert instance.SeriesInstanceUID == series.SeriesInstanceUID
            assert instance.SOPClassUID == item.ReferencedSOPClassUID
    assert sorted(listed) == sorted(_named(_items(ds, "IMAGE") + _items(ds, "COMPOSITE")))


def test_a_positive_film_s_says_why_and_that_this_is_research(tmp_path: Path) -> None:
    """A negative film's says nothing."""
    positive, _ = _key_objects(fixed_film(), tmp_path / "positive", positive=True)
    (description,) = [
        item
        for item in _items(positive, "TEXT")
        if item.ConceptNameCodeSequence[0].CodeValue == "113012"
    ]
    assert description.RelationshipType == "CONTAINS"
    assert "Research software, not for diagnostic use" in description.TextValue
    negative, _ = _key_objects(fixed_film(), tmp_path / "negative", positive=False)
    concepts = {item.ConceptNameCodeSequence[0].CodeValue for item in negative.ContentSequence}
    assert "113012" not in concepts


def test_choosing_twice_gives_the_same_uid(tmp_path: Path) -> None:
    """A retry resends, it never duplicates."""
    first, _ = _key_objects(fixed_film(), tmp_path / "1", positive=False)
    second, _ = _key_objects(fixed_film(), tmp_path / "2", positive=False)
    assert first.SOPInstanceUID == second.SOPInstanceUID
