"""The outlines over the film itself: shapes, words, and the film's own grey."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_rescale, apply_voi_lut
from pydicom.sequence import Sequence
from support import readings
from support.film import Stored, film, phantom
from support.objects import AT, composed, context

from dicom_node import explain, pixels
from dicom_node.compose.lineage import Lineage
from dicom_node.compose.presentation_state import presentation_state
from models.reading import FloatMap, Reading

ROWS, COLUMNS = 320, 288


def _source(**elements: Any) -> Dataset:
    return film(phantom(ROWS, COLUMNS), **elements)


def _state(source: Dataset, reading: Reading | None = None, **notes: str) -> Dataset:
    """Compose the presentation state of a film as the node reads it, and read that again."""
    image = pixels.to_image(source)
    image = replace(image, notes=image.notes | notes)
    reading = reading or readings.positive(readings.frame(ROWS, COLUMNS))
    style = explain.Style(width=512, max_regions=3, at=AT, summary=False, heatmaps="none")
    explanation = explain.explain(image, reading, style)
    lineage = Lineage(source=source, model=reading.model, context=context())
    out = BytesIO()
    presentation_state(lineage, image, reading, explanation).save_as(out, enforce_file_format=True)
    out.seek(0)
    return dcmread(out)


def _layers(ds: Dataset) -> dict[str, Dataset]:
    """Layer -> its annotation."""
    return {each.GraphicLayer: each for each in ds.GraphicAnnotationSequence}


def _shown(source: Dataset, ds: Dataset) -> FloatMap:
    """What a viewer makes of the film under the presentation state, by pydicom's own pipeline."""
    values = apply_rescale(source.pixel_array, ds)
    (window,) = ds.SoftcopyVOILUTSequence
    window.BitsStored, window.PixelRepresentation = source.BitsStored, 0
    window.PhotometricInterpretation = "MONOCHROME2"
    windowed = apply_voi_lut(values, window)
    grey = np.asarray((windowed - windowed.min()) / np.ptp(windowed), np.float32)
    return 1 - grey if ds.PresentationLUTShape == "INVERSE" else grey


def test_it_is_about_the_film_and_all_of_it() -> None:
    """One reference, the whole area."""
    source = _source()
    ds = _state(source)
    (series,) = ds.ReferencedSeriesSequence
    (image,) = series.ReferencedImageSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
    (area,) = ds.DisplayedAreaSelectionSequence
    assert list(area.DisplayedAreaTopLeftHandCorner) == [1, 1]
    assert list(area.DisplayedAreaBottomRightHandCorner) == [COLUMNS, ROWS]
    assert ds.BodyPartExamined == "CHEST"


def test_lungs_and_each_positive_stage_have_a_layer_the_words_the_top_one() -> None:
    """A radiologist switches them on and off one by one."""
    ds = _state(_source())
    order = [layer.GraphicLayer for layer in ds.GraphicLayerSequence]
    assert order == ["AI LUNGS", "AI PNEUMONIA", "AI COVID19", "AI TEXT"]
    assert set(_layers(ds)) == set(order)
    assert len(_layers(ds)["AI LUNGS"].GraphicObjectSequence) == 2
    assert len(_layers(ds)["AI PNEUMONIA"].GraphicObjectSequence) == 2


def test_a_negative_film_has_lungs_and_words_alone() -> None:
    """Heat below the threshold is not outlined."""
    ds = _state(_source(), readings.negative(readings.frame(ROWS, COLUMNS)))
    assert set(_layers(ds)) == {"AI LUNGS", "AI TEXT"}


def test_shapes_are_closed_lines_on_the_film() -> None:
    """Of a few dozen corners, in the film's pixels, around the lungs that were found."""
    layers = _layers(_state(_source()))
    for layer in ("AI LUNGS", "AI PNEUMONIA", "AI COVID19"):
        for shape in layers[layer].GraphicObjectSequence:
            points = np.array(shape.GraphicData).reshape(-1, 2)
            assert (shape.GraphicType, shape.GraphicAnnotationUnits) == ("POLYLINE", "PIXEL")
            assert shape.NumberOfGraphicPoints == len(points) < 100
            assert points[0].tolist() == points[-1].tolist()
            assert (points >= 0).all()
            assert (points <= [COLUMNS, ROWS]).all()
    lungs = [np.array(s.GraphicData[::2]) for s in layers["AI LUNGS"].GraphicObjectSequence]
    edges = sorted((x.min() / COLUMNS, x.max() / COLUMNS) for x in lungs)
    assert np.allclose(edges, [(0.14, 0.46), (0.54, 0.86)], atol=0.02)


def test_regions_are_tracked_under_the_report_s_identifiers() -> None:
    """So that a viewer can match outline and measurement as one finding."""
    source = _source()
    report = composed(source)[-1]
    named = {
        str(item.UID) for group in report.ContentSequence[-1].ContentSequence
        for item in group.ContentSequence if item.ValueType == "UIDREF"
    }  # fmt: skip
    shapes = _layers(_state(source))["AI PNEUMONIA"].GraphicObjectSequence
    assert {str(shape.TrackingUID) for shape in shapes} < named


def test_the_words_are_the_verdict_and_a_warning() -> None:
    """On the screen, wherever the film is scrolled to."""
    (text,) = _layers(_state(_source()))["AI TEXT"].TextObjectSequence
    assert text.BoundingBoxAnnotationUnits == "DISPLAY"
    assert text.UnformattedTextValue.splitlines() == [
        "NOT FOR DIAGNOSTIC USE",
        "Pneumonia above cut-off: score 87 of 100, cut-off 50.",
        "COVID-19 pattern above cut-off: score 71 of 100, cut-off 40.",
    ]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", ["full", (1500.0, 1800.0)])
@pytest.mark.parametrize("kind", ["cr", "dx"])
def test_the_film_under_it_looks_as_it_was_read(
    kind: str, window: object, photometric: str
) -> None:
    """Same window, same polarity: bone is white either way."""
    source = _source(stored=Stored(photometric=photometric), kind=kind, window=window)
    shown = _shown(source, _state(source))
    assert np.corrcoef(shown.ravel(), pixels.to_image(source).pixels.ravel())[0, 1] > 0.999


def test_rescaled_values_are_rescaled_again() -> None:
    """What a presentation state leaves out counts as identity, whatever the film says."""
    source = _source(RescaleSlope=2, RescaleIntercept=-100, WindowCenter=3996, WindowWidth=8192)
    ds = _state(source)
    assert (ds.RescaleSlope, ds.RescaleIntercept) == (2, -100)
    assert "RescaleSlope" not in _state(_source())


def test_a_film_turned_over_for_its_wrong_polarity_is_turned_over_here() -> None:
    """The reader sees what the networks saw."""
    assert _state(_source(), polarity="corrected").PresentationLUTShape == "INVERSE"
    mono1 = _source(stored=Stored(photometric="MONOCHROME1"))
    assert _state(mono1, polarity="corrected").PresentationLUTShape == "IDENTITY"


def test_a_look_up_table_goes_over_with_its_true_depth() -> None:
    """Twelve bits of data are often declared as sixteen, and would come out black."""
    lut = Dataset()
    lut.add_new("LUTDescriptor", "US", [4096, 0, 16])
    lut.add_new("LUTData", "US", [min(2 * value, 4095) for value in range(4096)])
    source = _source(window=None, VOILUTSequence=Sequence([lut]))
    (voi,) = _state(source).SoftcopyVOILUTSequence
    (table,) = voi.VOILUTSequence
    assert list(table.LUTDescriptor) == [4096, 0, 12]
    assert np.frombuffer(table.LUTData, "<u2")[[0, 9, 4095]].tolist() == [0, 18, 4095]
    assert "WindowCenter" not in voi


def test_a_film_read_by_its_own_range_keeps_no_window() -> None:
    """There is none in its header to repeat."""
    assert "SoftcopyVOILUTSequence" not in _state(_source(window=None))
