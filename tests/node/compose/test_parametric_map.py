"""The heatmaps as DICOM Parametric Maps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from support import readings
from support.objects import context, fixed_film, small_film, through_disk

from dicom_node import check_objects
from dicom_node.compose.lineage import Lineage
from dicom_node.compose.parametric_map import parametric_maps
from dicom_node.domain.values import Image
from models.reading import Reading


def made(
    source: Dataset,
    reading: Reading | None = None,
    size: tuple[int, int] = (320, 288),
    spacing_mm: tuple[float, float] | None = (0.7, 0.7),
) -> dict[str, Dataset]:
    """The maps of a film, whose own pixels do not matter, by their Content Label."""
    image = Image(pixels=np.zeros(size, np.float32), spacing_mm=spacing_mm)
    lineage = Lineage(source=source, model=readings.MODEL, context=context())
    reading = reading or readings.positive(readings.frame(*size))
    return {ds.ContentLabel: ds for ds in parametric_maps(lineage, image, reading)}


def test_there_is_a_map_of_each_heatmap_the_reading_has() -> None:
    """And none of those it has not: stage 3 may not have run."""
    source = fixed_film()
    maps = made(source)
    assert list(maps) == ["H2", "H3", "GUIDED"]
    assert [ds.InstanceNumber for ds in maps.values()] == [1, 2, 3]
    assert len({ds.SOPInstanceUID for ds in maps.values()}) == 3
    assert {(ds.SeriesInstanceUID, ds.SeriesNumber) for ds in maps.values()} == {
        (maps["H2"].SeriesInstanceUID, 9904)
    }
    assert list(made(source, readings.negative(readings.frame(320, 288)))) == ["H2"]


def test_the_values_are_the_network_s_own_to_the_last_bit(tmp_path: Path) -> None:
    """Without the padding beside the film."""
    source = fixed_film()
    reading = readings.positive(readings.frame(320, 288))
    maps = through_disk(list(made(source, reading).values()), tmp_path)
    heats = (reading.h2, reading.h3, reading.guided)
    for ds, heat in zip(maps, heats, strict=True):
        assert heat is not None
        values = ds.pixel_array
        assert values.dtype == np.float32
        assert np.array_equal(values, reading.frame.crop(heat))


def test_a_map_s_corners_are_the_film_s() -> None:
    """As many pixels as fit, each as large as it must be; in film pixels without a spacing."""
    for spacing, size in (((0.2, 0.3), (240.0, 270.0)), (None, (1200.0, 900.0))):
        ds = made(small_film(), None, (1200, 900), spacing)["H2"]
        assert (ds.Rows, ds.Columns) == (512, 384)
        (measures,) = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
        between = [float(value) for value in measures.PixelSpacing]
        assert np.allclose(np.array(between) * [ds.Rows, ds.Columns], size)


@pytest.mark.parametrize(
    ("name", "code"), [("H2", "130402"), ("H3", "130403"), ("GUIDED", "130404")]
)
def test_a_map_says_what_it_measures(name: str, code: str) -> None:
    """By CID 217, from 0 to 1, without unit."""
    (shared,) = made(fixed_film())[name].SharedFunctionalGroupsSequence
    (mapping,) = shared.RealWorldValueMappingSequence
    (quantity,) = mapping.QuantityDefinitionSequence
    (concept,) = quantity.ConceptCodeSequence
    assert (concept.CodeValue, concept.CodingSchemeDesignator) == (code, "DCM")
    (unit,) = mapping.MeasurementUnitsCodeSequence
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("1", "UCUM")
    assert mapping.DoubleFloatRealWorldValueFirstValueMapped == 0.0
    assert mapping.DoubleFloatRealWorldValueLastValueMapped == 1.0
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1.0, 0.0)


def test_its_description_says_that_the_place_is_notional_and_the_software_for_research() -> None:
    """For a radiograph has no position in the patient."""
    for ds in made(fixed_film()).values():
        assert "frame of reference are notional" in ds.DerivationDescription
        assert "not for diagnostic use" in ds.DerivationDescription
        assert len(ds.DerivationDescription) <= 1024
        assert len(ds.ContentDescription) <= 64


def test_an_unreliable_heatmap_says_so_in_its_map() -> None:
    """That of stage 2, the one that was checked."""
    reading = readings.positive(readings.frame(320, 288))
    doubtful = replace(reading, heat_check=readings.heat_check(reliable=False))
    maps = made(fixed_film(), doubtful)
    assert "unreliable" in maps["H2"].DerivationDescription
    assert len(maps["H2"].DerivationDescription) <= 1024
    assert "unreliable" not in maps["H3"].DerivationDescription
    assert "unreliable" not in made(fixed_film(), reading)["H2"].DerivationDescription


def test_the_maps_of_a_film_share_one_frame_of_reference() -> None:
    """Its own: nothing else lies in that notional space. Made again, it is the same."""
    frames = {ds.FrameOfReferenceUID for _ in range(2) for ds in made(fixed_film(), None).values()}
    assert len(frames) == 1


def test_a_map_points_at_the_film_alone() -> None:
    """As the image it was made of, with other pixels."""
    source = fixed_film()
    for ds in made(source).values():
        (series,) = ds.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == source.SeriesInstanceUID
        (listed,) = series.ReferencedInstanceSequence
        (derivation,) = ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
        (origin,) = derivation.SourceImageSequence
        assert origin.SpatialLocationsPreserved == "NO"
        for item in (listed, origin):
            assert item.ReferencedSOPInstanceUID == source.SOPInstanceUID


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
def test_they_pass_the_node_s_own_check(elements: dict[str, Any], tmp_path: Path) -> None:
    """Whatever the film's header lacks, and however odd its pixels' shape."""
    source = small_film(**elements)
    maps = through_disk(list(made(source, spacing_mm=(0.1234567, 1 / 3)).values()), tmp_path)
    assert check_objects.check(maps, source) == []
