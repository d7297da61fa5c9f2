"""What one film yields under a configuration, and how its objects hang together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from support import readings
from support.objects import composed, context, fixed_film, small_film, through_disk

import dicom_node
from dicom_node import check_objects
from dicom_node.config import ResultsConfig
from dicom_node.domain.values import Result
from models.reading import Frame, Reading

EARLIER = Result(
    sop_instance_uid="2.25.71",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
    series_instance_uid="2.25.7",
    modality="SR",
    series_description="AI report",
    path=Path("2.25.71.dcm"),
)

EVERYTHING: dict[str, Any] = dict.fromkeys(
    ("segmentation", "parametric_maps", "presentation_state", "key_objects"), True
) | {"heatmaps": "all"}


def _quick(source: Dataset, **results: Any) -> list[Dataset]:
    """The objects of a negative film, which are fewer."""
    reading = readings.negative(readings.frame(source.Rows, source.Columns))
    return composed(source, reading, context(**results))


def _only(objects: list[Dataset], modality: str) -> Dataset:
    (found,) = [ds for ds in objects if ds.Modality == modality]
    return found


def _listed(sequence: list[Dataset]) -> Iterator[tuple[str, str, str]]:
    """Study, series and instance of a hierarchical list of references."""
    for study in sequence:
        for series in study.ReferencedSeriesSequence:
            for item in series.ReferencedSOPSequence:
                yield (
                    study.StudyInstanceUID,
                    series.SeriesInstanceUID,
                    item.ReferencedSOPInstanceUID,
                )


def _evidence(ds: Dataset) -> set[str]:
    return {uid for _, _, uid in _listed(ds.CurrentRequestedProcedureEvidenceSequence)}


def test_each_kind_is_a_series_of_its_own_with_a_fixed_number() -> None:
    """A site's hanging protocols and routing rules hang on these."""
    objects = _quick(fixed_film(), **EVERYTHING)
    series = {(ds.Modality, ds.SeriesNumber, ds.SeriesInstanceUID) for ds in objects}
    assert sorted((modality, number) for modality, number, _ in series) == [
        ("KO", 9906), ("OT", 9900), ("OT", 9902), ("OT", 9904), ("PR", 9905), ("SEG", 9903),
        ("SR", 9901),
    ]  # fmt: skip
    assert len({uid for _, _, uid in series}) == 7
    assert all("NOT FOR DIAGNOSTIC USE" in ds.SeriesDescription for ds in objects)


@pytest.mark.parametrize(
    ("switch", "number"),
    [
        ("summary", 9900),
        ("segmentation", 9903),
        ("parametric_maps", 9904),
        ("presentation_state", 9905),
        ("key_objects", 9906),
    ],
)
def test_what_is_switched_off_is_not_there(switch: str, number: int) -> None:
    """The report always is."""
    there = {ds.SeriesNumber for ds in _quick(fixed_film(), **(EVERYTHING | {switch: False}))}
    assert there == set(range(9900, 9907)) - {number}


@pytest.mark.parametrize(
    ("made", "numbers"),
    [
        (readings.positive, [9900, 9902, 9902, 9901]),
        (readings.positive_without_covid, [9900, 9902, 9901]),
        (readings.negative, [9900, 9901]),
    ],
)
def test_a_film_yields_what_its_reading_is_worth(
    made: Callable[[Frame], Reading], numbers: list[int]
) -> None:
    """Summary and report of every film; a heatmap of each stage above its cut-off."""
    source = fixed_film()
    objects = composed(source, made(readings.frame(source.Rows, source.Columns)))
    assert [ds.SeriesNumber for ds in objects] == numbers


def test_the_results_of_one_film_stay_below_three_megabytes(tmp_path: Path) -> None:
    """With the defaults, on a grainy film."""
    context_ = replace(context(), results=ResultsConfig())
    objects = composed(fixed_film(), None, context_)
    through_disk(objects, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3e6


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (0.9, "AI: pneumonia above cut-off - NOT FOR DIAGNOSTIC USE"),
        (0.53, "AI: pneumonia just above cut-off - NOT FOR DIAGNOSTIC USE"),
        (0.47, "AI: pneumonia just below cut-off - NOT FOR DIAGNOSTIC USE"),
        (0.1, "AI: pneumonia below cut-off - NOT FOR DIAGNOSTIC USE"),
    ],
)
def test_the_first_series_is_named_after_the_finding(probability: float, words: str) -> None:
    """A list of series shows the first 24 letters: they carry the message."""
    reading = readings.reading(readings.frame(320, 288), pneumonia=probability, covid19=None)
    assert composed(fixed_film(), reading)[0].SeriesDescription == words


def test_an_object_comes_after_those_it_refers_to() -> None:
    """An archive gets them in this order."""
    numbers = [ds.SeriesNumber for ds in _quick(fixed_film(), **EVERYTHING)]
    assert numbers == [9900, 9902, 9903, 9904, 9905, 9901, 9906]


def test_the_report_lists_everything_made_of_the_film_as_evidence() -> None:
    """Film, pictures, mask, maps and presentation state; the key objects come after it."""
    source = fixed_film()
    objects = _quick(source, **EVERYTHING)
    made = {ds.SOPInstanceUID for ds in objects if ds.Modality in ("OT", "SEG", "PR")}
    assert _evidence(_only(objects, "SR")) == made | {source.SOPInstanceUID}


def test_the_whole_set_passes_the_node_s_own_check(tmp_path: Path) -> None:
    """For a film with everything in its header, and for a poor one."""
    for number, source in enumerate((fixed_film(), small_film(without=["PatientOrientation"]))):
        objects = composed(source, None, context(**EVERYTHING))
        read = through_disk(objects, tmp_path / str(number))
        assert check_objects.check(read, source) == []


def test_a_later_report_names_its_predecessors() -> None:
    """By study, series and instance."""
    source = fixed_film()
    what = replace(context(), revision=2, predecessors=(EARLIER,))
    reading = readings.negative(readings.frame(320, 288))
    later = _only(composed(source, reading, what), "SR")
    (named,) = _listed(later.PredecessorDocumentsSequence)
    assert named == (source.StudyInstanceUID, "2.25.7", "2.25.71")
    item = later.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert item[0].ReferencedSOPClassUID == EARLIER.sop_class_uid
    assert "PredecessorDocumentsSequence" not in _only(_quick(source), "SR")


def test_another_revision_of_a_film_is_another_set_of_objects() -> None:
    """Under new UIDs in new series, though neither networks nor configuration changed."""
    reading = readings.negative(readings.frame(320, 288))
    uids = [
        {str(ds[keyword].value) for ds in composed(fixed_film(), reading, what)
         for keyword in ("SOPInstanceUID", "SeriesInstanceUID")}
        for what in (context(), replace(context(), revision=2))
    ]  # fmt: skip
    assert not uids[0] & uids[1]


def test_files_are_signed_by_this_implementation(tmp_path: Path) -> None:
    """Not by the library that writes them."""
    for ds in through_disk(_quick(fixed_film()), tmp_path):
        meta = ds.file_meta
        assert meta.ImplementationClassUID == dicom_node.IMPLEMENTATION_CLASS_UID
        assert meta.ImplementationVersionName == dicom_node.IMPLEMENTATION_VERSION_NAME
