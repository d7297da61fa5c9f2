"""Outlines and result as a presentation state on the film itself (PS3.3 A.33.1).

A presentation state replaces the film's whole grayscale pipeline: a step that is missing from it
is the identity. It therefore repeats the window and the inversion with which the film was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import highdicom as hd
import numpy as np
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import DSfloat
from skimage import measure

from dicom_node.compose import series
from dicom_node.compose.basic_text import verdict
from dicom_node.compose.lineage import reference
from dicom_node.compose.sanitize import clean
from dicom_node.compose.tid1500 import region_name, size_of
from dicom_node.dicom.header import number, text
from dicom_node.explain import palette
from dicom_node.explain.message import answer
from dicom_node.explain.phrases import WORDS
from dicom_node.explain.regions import outline
from dicom_node.pixels.geometry import pixel_ratio
from dicom_node.pixels.grayscale import byte_order, first_item, look_up_table

if TYPE_CHECKING:
    from dicom_node.compose.lineage import Lineage
    from dicom_node.domain.values import Image
    from dicom_node.explain import Explanation, Polygon, Region
    from models.reading import Reading

_TOLERANCE = 1.5  # network pixels by which the lungs' outline is simplified
# Of Okabe and Ito's colour-blind-safe palette, as the lungs' colour
_ORANGE, _PURPLE = (230, 159, 0), (204, 121, 167)
_TEXT_BOX = (0.02, 0.88, 0.98, 0.98)  # of the displayed area: left, top, right, bottom
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def presentation_state(
    lineage: Lineage, image: Image, reading: Reading, explanation: Explanation
) -> Dataset:
    """Outline the lungs and each positive stage's regions, and write the results as text."""
    ds = lineage.derive(series.PRESENTATION_STATE, "gsps", 1)
    ds.BodyPartExamined = "CHEST"
    ds.ContentLabel = "AI_OUTLINES"
    ds.ContentDescription = "Outlines of lungs and heat - NOT FOR DIAGNOSTIC USE"
    ds.ContentCreatorName = None
    ds.PresentationCreationDate, ds.PresentationCreationTime = ds.ContentDate, ds.ContentTime
    del ds.ContentDate, ds.ContentTime  # of images and documents
    film = Dataset()
    film.SeriesInstanceUID = lineage.source.SeriesInstanceUID
    film.ReferencedImageSequence = Sequence([reference(lineage.source)])
    ds.ReferencedSeriesSequence = Sequence([film])
    ds.DisplayedAreaSelectionSequence = Sequence([_whole(lineage.source)])
    _grayscale(ds, lineage.source, image)
    layers = list(_layers(lineage, reading, explanation))
    ds.GraphicLayerSequence = Sequence([layer for layer, _ in layers])
    ds.GraphicAnnotationSequence = Sequence([annotation for _, annotation in layers])
    return ds


def _whole(source: Dataset) -> Dataset:
    """Build the Displayed Area (C.10.4): the whole film, scaled to fit."""
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [*reversed(size_of(source))]
    area.PresentationSizeMode = "SCALE TO FIT"
    spacing = clean(source, ["PixelSpacing"]).get("PixelSpacing")
    if spacing:
        area.PresentationPixelSpacing = spacing
    else:
        area.PresentationPixelAspectRatio = _aspect(source)
    return area


def _aspect(source: Dataset) -> list[int]:
    """Vertical and horizontal size of a pixel as whole numbers, IS."""
    ratio = Fraction(pixel_ratio(source)).limit_denominator(1000)
    return [ratio.numerator, ratio.denominator]


def _grayscale(ds: Dataset, source: Dataset, image: Image) -> None:
    """Write Modality LUT (C.11.1), Softcopy VOI LUT (C.11.8) and Presentation LUT (C.11.6)."""
    if lut := _lut(source, "ModalityLUTSequence"):
        lut.ModalityLUTType = "US"  # unspecified
        ds.ModalityLUTSequence = Sequence([lut])
    elif "RescaleSlope" in source or "RescaleIntercept" in source:
        ds.RescaleIntercept = _decimal(number(source, "RescaleIntercept", 0.0))
        ds.RescaleSlope = _decimal(number(source, "RescaleSlope", 1.0) or 1.0)
        ds.RescaleType = "US"
    voi = _window(source, image.notes.get("window", ""))
    if voi is not None:
        ds.SoftcopyVOILUTSequence = Sequence([voi])
    # as it was read: MONOCHROME1 is inverted, and inverted back if the polarity was corrected
    corrected = image.notes.get("polarity") == "corrected"
    inverse = (image.notes.get("inverted") == "yes") != corrected
    ds.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"


def _window(source: Dataset, taken: str) -> Dataset | None:
    """Return the film's window with which it was read; None if it was read with another."""
    voi = Dataset()
    if taken == "header":
        voi.WindowCenter = _decimal(number(source, "WindowCenter", 0.0))
        voi.WindowWidth = _decimal(number(source, "WindowWidth", 1.0))
        if (function := text(source, "VOILUTFunction")) in _FUNCTIONS:
            voi.VOILUTFunction = function
        return voi
    if taken == "lut" and (lut := _lut(source, "VOILUTSequence")):
        voi.VOILUTSequence = Sequence([lut])
        return voi
    return None


def _lut(source: Dataset, keyword: str) -> Dataset | None:
    """Return the first look-up table of a sequence, with as many bits as its data use."""
    item = first_item(source, keyword)
    found = None if item is None else look_up_table(item, byte_order(source))
    if found is None or not 0 <= found[0] <= 0xFFFF:
        return None
    first, data = int(found[0]), found[1]
    bits = max(8, int(data.max()).bit_length())
    lut = Dataset()
    lut.add_new("LUTDescriptor", "US", [data.size & 0xFFFF, first, bits])
    lut.add_new("LUTData", "OW", data.astype("<u2").tobytes())
    return lut


def _layers(
    lineage: Lineage, reading: Reading, explanation: Explanation
) -> Iterator[tuple[hd.pr.GraphicLayer, hd.pr.GraphicAnnotation]]:
    """Yield the layers that are not empty, the text last."""
    tolerance = _TOLERANCE / reading.frame.scale
    lungs = [
        _polyline(reading, measure.approximate_polygon(line, tolerance))
        for line in outline(reading.lungs.aerated, reading.frame)
    ]
    drawn = (
        ("AI LUNGS", "Lungs", palette.LUNGS, lungs),
        ("AI PNEUMONIA", "Heat of the pneumonia classifier", _ORANGE,
         list(_regions(lineage, reading, ("stage 2", "Pneumonia"), explanation.pneumonia))),
        ("AI COVID19", "Heat of the COVID-19 classifier", _PURPLE,
         list(_regions(lineage, reading, ("stage 3", "COVID-19"), explanation.covid19))),
    )  # fmt: skip
    for order, (name, words, colour, shapes) in enumerate(drawn, 1):
        if shapes:
            layer = hd.pr.GraphicLayer(name, order, words, CIELabColor.from_rgb(*colour))
            yield layer, hd.pr.GraphicAnnotation([lineage.source], layer, graphic_objects=shapes)
    layer = hd.pr.GraphicLayer(
        "AI TEXT", len(drawn) + 1, "Verdict", CIELabColor.from_rgb(*palette.WARNING)
    )
    shown = hd.pr.TextObject(
        "\r\n".join(_words(reading)), "DISPLAY", _TEXT_BOX, text_justification="LEFT"
    )
    yield layer, hd.pr.GraphicAnnotation([lineage.source], layer, text_objects=[shown])


def _regions(
    lineage: Lineage, reading: Reading, stage: tuple[str, str], regions: Iterable[Region]
) -> Iterator[hd.pr.GraphicObject]:
    """Outline regions with the same tracking identifiers as in the report."""
    key, finding = stage
    for place, region in enumerate(regions, 1):
        uid = lineage.root.uid(f"tracking {key} region {place}")
        yield _polyline(reading, region.points, region_name(finding, place, region), uid)


def _polyline(
    reading: Reading, points: Polygon, name: str | None = None, uid: str | None = None
) -> hd.pr.GraphicObject:
    """Convert film points to PIXEL units: origin at the corner of the first pixel (C.10.5.1.1)."""
    inside = np.clip(points + 0.5, 0.0, [reading.frame.columns, reading.frame.rows])
    return hd.pr.GraphicObject(
        "POLYLINE", np.round(inside, 1), "PIXEL", tracking_id=name, tracking_uid=uid
    )


def _words(reading: Reading) -> Iterator[str]:
    yield "NOT FOR DIAGNOSTIC USE"
    words = WORDS["en"]
    for name, stage in ((words.pneumonia, reading.pneumonia), (words.covid19, reading.covid19)):
        yield f"{verdict(answer(name, stage, words))}."


def _decimal(value: float) -> DSfloat:
    return DSfloat(value, auto_format=True)
