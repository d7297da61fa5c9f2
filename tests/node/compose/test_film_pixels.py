"""Results of a film that was resampled or turned round refer to the film's own pixels."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage
from support.film import film, phantom, write
from support.readings import MODEL, frame, look, positive

from dicom_node.compose.film_pixels import as_read, on_film
from dicom_node.config import Config
from dicom_node.domain.values import FilmOutcome, Image
from dicom_node.pipeline import Pipeline, entry
from dicom_node.pixels import to_image
from models.reading import Look, ModelIdentity, Reading

WHOLE = phantom(520, 440)


class OneSidedReader:
    """Finds heat in the right half of every image, which is the patient's left lung."""

    @property
    def identity(self) -> ModelIdentity:
        return MODEL

    def look(self, image: Image) -> Look:
        return look()

    def read(self, image: Image, *, force_stage3: bool = False, **_: object) -> Reading:
        return one_sided(image)


def one_sided(image: Image) -> Reading:
    where = frame(*image.pixels.shape)
    reading = positive(where)
    heat = np.zeros_like(reading.h2)
    middle = where.left + where.width // 2
    heat[
        where.top + where.height // 3 : where.top + where.height // 2, middle + 40 : middle + 90
    ] = 1
    return replace(reading, h2=heat, h3=heat)


def _read(folder: Path, source: Dataset) -> tuple[FilmOutcome, dict[str, list[Dataset]]]:
    results = {"presentation_state": True, "parametric_maps": True, "segmentation": True}
    pipeline = Pipeline(
        config=Config.model_validate({"results": results}),
        reader=OneSidedReader(),
        clock=lambda: datetime(2026, 1, 2, tzinfo=UTC),
    )
    outcome = pipeline.read(write(source, folder / "a.dcm"), folder / "out")
    objects: dict[str, list[Dataset]] = {}
    for result in outcome.results:
        ds = pydicom.dcmread(folder / "out" / result.path)
        kind = "SC" if ds.SOPClassUID == SecondaryCaptureImageStorage else str(ds.Modality)
        objects.setdefault(kind, []).append(ds)
    return outcome, objects


def _polylines(report: Dataset) -> list[np.ndarray]:
    return [
        np.array(ds.GraphicData).reshape(-1, 2)
        for ds in _items(report)
        if ds.get("GraphicType") == "POLYLINE"
    ]


def _items(ds: Dataset) -> list[Dataset]:
    found = [ds]
    for item in ds.get("ContentSequence", ()):
        found += _items(item)
    return found


def _sides(report: Dataset) -> set[str]:
    """Laterality of the regions."""
    return {
        ds.ConceptCodeSequence[0].CodeMeaning
        for ds in _items(report)
        if ds.get("ConceptNameCodeSequence")
        and ds.ConceptNameCodeSequence[0].CodeMeaning == "Laterality"
    }


MIRRORED = film(np.ascontiguousarray(WHOLE[:, ::-1]), PatientOrientation=["R", "F"])
SQUASHED = film(np.ascontiguousarray(WHOLE[::2]), spacing=(1.4, 0.7))


@pytest.mark.parametrize("source", [film(WHOLE), MIRRORED, SQUASHED], ids=["own", "mirror", "half"])
def test_regions_lie_where_the_heat_is_in_the_films_own_pixels(
    tmp_path: Path, source: Dataset
) -> None:
    """On a mirror image the patient's left is at the left; half the rows mean half the height."""
    outcome, objects = _read(tmp_path, source)
    assert outcome.faults == ()
    (report,) = objects["SR"]
    region = max(_polylines(report)[1:-1], key=lambda points: np.ptp(points[:, 0]))
    across = region[:, 0].mean() / source.Columns
    down = region[:, 1].mean() / source.Rows
    mirrored = source is MIRRORED
    assert bool(across < 0.5) is mirrored
    assert down == pytest.approx(5 / 12, abs=0.03)
    assert _sides(report) == {"Left"}
    assert region[:, 0].max() <= source.Columns
    assert region[:, 1].max() <= source.Rows


def test_masks_and_outlines_have_the_size_of_the_film(tmp_path: Path) -> None:
    """A viewer lays them over the film pixel by pixel."""
    for name, source in (("mirror", MIRRORED), ("half", SQUASHED)):
        _, objects = _read(tmp_path / name, source)
        mask = objects["SEG"][0]
        assert (mask.Rows, mask.Columns) == (source.Rows, source.Columns)
        measures = mask.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        assert [float(v) for v in measures.PixelSpacing] == [float(v) for v in source.PixelSpacing]
        area = objects["PR"][0].DisplayedAreaSelectionSequence[0]
        assert area.DisplayedAreaBottomRightHandCorner == [source.Columns, source.Rows]


def test_the_picture_shows_the_film_as_it_was_read(tmp_path: Path) -> None:
    """Square pixels, the patient's left at the right; its header says so."""
    _, objects = _read(tmp_path / "mirror", MIRRORED)
    assert all(list(ds.PatientOrientation) == ["L", "F"] for ds in objects["SC"])
    assert all(ds.SourceImageSequence[0].SpatialLocationsPreserved == "NO" for ds in objects["SC"])
    _, objects = _read(tmp_path / "half", SQUASHED)
    for ds in objects["SC"]:
        if "PixelSpacing" in ds:
            assert float(ds.PixelSpacing[0]) == float(ds.PixelSpacing[1])


def test_what_was_done_is_in_the_reading_and_in_the_report(tmp_path: Path) -> None:
    """`notes` in the summary; a sentence in the group of the input gate."""
    for name, source, note, words in (
        ("mirror", MIRRORED, "mirrored", "mirror image"),
        ("half", SQUASHED, "aspect", "not square"),
    ):
        outcome, objects = _read(tmp_path / name, source)
        listed = entry(Path("a"), outcome)["notes"]
        assert isinstance(listed, dict)
        assert note in listed
        assert words in json.dumps(objects["SR"][0].to_json_dict())
    outcome, _ = _read(tmp_path / "own", film(WHOLE))
    assert entry(Path("a"), outcome)["notes"] == {}


def test_a_film_read_in_its_own_pixels_is_left_alone() -> None:
    """No copy is made where nothing changed."""
    source = film(WHOLE)
    image = to_image(source)
    reading = one_sided(image)
    assert on_film(image, reading) == (image, reading)
    assert as_read(source, image) is source


def test_the_header_as_read_is_a_copy() -> None:
    """The film's own header is not changed."""
    before = MIRRORED.to_json()
    header = as_read(MIRRORED, to_image(MIRRORED))
    assert list(header.PatientOrientation) == ["L", "F"]
    assert MIRRORED.to_json() == before
