"""The lungs as a DICOM Segmentation on the film."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit
from support import readings
from support.film import Stored
from support.objects import context, fixed_film, small_film, through_disk

from dicom_node import check_objects
from dicom_node.compose.lineage import Lineage
from dicom_node.compose.segmentation import segmentation
from dicom_node.domain.values import Image
from dicom_node.explain.regions import outline
from models.reading import Reading


def made(
    source: Dataset, reading: Reading | None = None, size: tuple[int, int] | None = None
) -> Dataset:
    """The segmentation of a film, whose own pixels do not matter."""
    size = size or (source.Rows, source.Columns)
    image = Image(pixels=np.zeros(size, np.float32), spacing_mm=None)
    lineage = Lineage(source=source, model=readings.MODEL, context=context())
    return segmentation(lineage, image, reading or readings.positive(readings.frame(*size)))


def test_the_mask_covers_the_film_pixel_for_pixel(tmp_path: Path) -> None:
    """Eight pixels share a byte, whatever the film's width."""
    source = small_film(rows=321, columns=283)
    (ds,) = through_disk([made(source)], tmp_path)
    mask = ds.pixel_array
    assert mask.shape == (321, 283)
    assert len(ds.PixelData) == -(-321 * 283 // 16) * 2
    y, x = np.mgrid[0.5:321, 0.5:283] / np.array([321, 283])[:, np.newaxis, np.newaxis]
    ellipses = [((x - cx) / 0.16) ** 2 + ((y - 0.48) / 0.34) ** 2 < 1 for cx in (0.3, 0.7)]
    assert (mask == (ellipses[0] | ellipses[1])).mean() > 0.99


def test_the_network_s_own_mask_can_be_read_off_a_larger_one() -> None:
    """At the middle of each of its pixels stands what it said there."""
    reading = readings.positive(readings.frame(1536, 1536))
    mask = made(small_film(), reading, (1536, 1536)).pixel_array
    assert np.array_equal(mask[1::3, 1::3], reading.lungs.aerated)


def test_its_border_is_the_outline_of_the_pictures() -> None:
    """Nowhere further from it than two pixels of the network."""
    reading = readings.positive(readings.frame(1024, 896))
    mask = made(small_film(), reading, (1024, 896)).pixel_array
    for line in outline(reading.lungs.aerated, reading.frame):
        for x, y in np.rint(line).astype(int):
            beside = mask[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5]
            assert beside.any()
            assert not beside.all()


def test_a_film_without_lungs_has_an_empty_mask() -> None:
    """Legal, and the truth."""
    reading = readings.positive(readings.frame(320, 288))
    nothing = replace(reading.lungs, aerated=np.zeros_like(reading.lungs.aerated))
    ds = made(small_film(), replace(reading, lungs=nothing))
    assert not ds.pixel_array.any()
    assert ds.NumberOfFrames == 1


def test_it_says_what_it_shows_and_who_drew_it() -> None:
    """Lung, by an artificial intelligence, automatically."""
    ds = made(fixed_film())
    assert (ds.SegmentationType, ds.SeriesNumber, ds.Modality) == ("BINARY", 9903, "SEG")
    assert ds.SeriesDescription == "AI lungs - NOT FOR DIAGNOSTIC USE"
    (segment,) = ds.SegmentSequence
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "39607008"
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    assert algorithm.AlgorithmVersion == readings.MODEL.version
    assert readings.MODEL.digest in algorithm.AlgorithmParameters


def test_viewers_find_the_place_they_ask_for() -> None:
    """Without any of these OHIF loads without end, and GDCM dies with the archive around it."""
    ds = made(fixed_film(without=["PatientOrientation"]))
    (shared,) = ds.SharedFunctionalGroupsSequence
    (measures,) = shared.PixelMeasuresSequence
    assert (measures.PixelSpacing, measures.SliceThickness) == ([1, 1], 1)
    (frame,) = ds.PerFrameFunctionalGroupsSequence
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert frame.PlanePositionSequence[0].ImagePositionPatient == [0, 0, 0]
    assert ds.BodyPartExamined == "CHEST"
    assert ds.PatientOrientation == ["L", "F"]
    assert "FrameOfReferenceUID" not in ds


def test_it_points_at_the_film_alone() -> None:
    """As the image it was made of, each pixel in its place."""
    source = fixed_film()
    ds = made(source)
    (series,) = ds.ReferencedSeriesSequence
    (listed,) = series.ReferencedInstanceSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    (derivation,) = ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
    (origin,) = derivation.SourceImageSequence
    assert origin.SpatialLocationsPreserved == "YES"
    for item in (listed, origin):
        assert item.ReferencedSOPClassUID == source.SOPClassUID
        assert item.ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_the_same_reading_is_the_same_object() -> None:
    """Byte for byte, every UID in it too."""
    once, again = (made(fixed_film()).to_json() for _ in range(2))
    assert once == again


def test_what_was_lossy_stays_lossy() -> None:
    """The mask was drawn on a film that lost something."""
    lossy = small_film(stored=Stored(bits=8), syntax=JPEGBaseline8Bit)
    assert made(lossy).LossyImageCompression == "01"
    assert made(small_film()).LossyImageCompression == "00"


@pytest.mark.parametrize(
    "elements",
    [
        {"kind": "dx"},
        {"kind": "sc"},
        {"spacing": None, "without": ["PatientOrientation", "ViewPosition", "StudyID"]},
        {"PatientBirthDate": "about 1970", "PatientSex": "?"},
    ],
    ids=["dx", "sc", "bare", "garbled"],
)
def test_it_passes_the_node_s_own_check(elements: dict[str, Any], tmp_path: Path) -> None:
    """Whatever the film's header lacks."""
    source = small_film(**elements)
    assert check_objects.check(through_disk([made(source)], tmp_path), source) == []


def test_a_large_film_takes_well_below_a_second() -> None:
    """Of processor time: composing must not hold the worker up."""
    source, reading = small_film(), readings.positive(readings.frame(3000, 2500))
    made(source, reading, (3000, 2500))
    started = time.process_time()
    made(source, reading, (3000, 2500))
    assert time.process_time() - started < 0.7
