"""The heatmaps as Parametric Maps (PS3.3 A.75): the values behind the pictures, for programs.

Each map is the network's output cut to the film: its corners are the film's corners, so blending
it over the film gives the picture. highdicom's Parametric Map class needs a position in space,
which a radiograph does not have; this module writes a notional one and says so in the object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import highdicom as hd
from pydicom.sequence import Sequence

from dicom_node.compose import codes, series, source_reference
from dicom_node.compose.content import unreliable
from dicom_node.compose.frames import derivation, one_frame, pixel_measures, values

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.sr.coding import Code

    from dicom_node.compose.lineage import Lineage
    from dicom_node.domain.values import Image
    from models.reading import FloatMap, Reading

_TYPE = ["DERIVED", "PRIMARY", "VOLUME", "QUANTITY"]  # VOLUME: there is no term for projections
_NOTIONAL = (
    "Position, orientation and frame of reference are notional, for a radiograph has none; the "
    "corners of the map are those of the film. Research software, not for diagnostic use."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Map:
    """One heatmap and the quantity it measures; ``name`` becomes the Content Label."""

    name: str
    heat: FloatMap
    quantity: Code
    words: str
    number: int


def parametric_maps(lineage: Lineage, image: Image, reading: Reading) -> list[Dataset]:
    """Build one object for each heatmap of the reading."""
    return [_parametric_map(lineage, image, reading, each) for each in _maps(reading)]


def _maps(reading: Reading) -> Iterator[_Map]:
    yield _Map(
        name="H2",
        heat=reading.h2,
        quantity=codes.CLASS_ACTIVATION,
        words=f"Pneumonia heatmap (stage 2, {reading.model.h2_variant})",
        number=1,
    )
    if reading.h3 is not None:
        yield _Map(
            name="H3",
            heat=reading.h3,
            quantity=codes.GRADIENT_CLASS_ACTIVATION,
            words="COVID-19 heatmap (stage 3, Grad-CAM)",
            number=2,
        )
    if reading.guided is not None:
        yield _Map(
            name="GUIDED",
            heat=reading.guided,
            quantity=codes.SALIENCY,
            words="COVID-19 Guided Grad-CAM (stage 3)",
            number=3,
        )


def _parametric_map(lineage: Lineage, image: Image, reading: Reading, each: _Map) -> Dataset:
    ds = lineage.derive(series.PARAMETRIC_MAP, f"pmap-{each.name.lower()}", each.number)
    source_reference.orient(ds, lineage.source)
    source_reference.lossy(ds, lineage.source)
    source_reference.refer(ds, lineage.source)
    ds.ImageType = _TYPE
    ds.ContentLabel = each.name
    ds.ContentDescription = each.words
    ds.ContentCreatorName = None
    ds.DerivationDescription = _description(reading, each)
    ds.BurnedInAnnotation = ds.RecognizableVisualFeatures = "NO"
    ds.AcquisitionContextSequence = Sequence()
    ds.FrameOfReferenceUID = lineage.root.uid("frame of reference")
    ds.PositionReferenceIndicator = None
    heat = reading.frame.crop(each.heat).astype("<f4")
    _frame(ds, lineage, each, pixel_measures(image, heat.shape))
    ds.Rows, ds.Columns = heat.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.PresentationLUTShape = "IDENTITY"
    ds.BitsAllocated = 32
    ds.FloatPixelData = heat.tobytes()
    return ds


def _description(reading: Reading, each: _Map) -> str:
    check = reading.heat_check
    doubt = (
        f" {unreliable(check)}" if each.name == "H2" and check and check.reliable is False else ""
    )
    return f"{each.words}: relative activation from 0 to 1.{doubt} {_NOTIONAL}"


def _frame(ds: Dataset, lineage: Lineage, each: _Map, measures: Dataset) -> None:
    """Write the single frame, oriented as a frontal film hangs: rows to L, columns to F."""
    one_frame(
        ds,
        lineage,
        ("PlanePositionSequence", "ImagePositionPatient"),
        shared={
            "PlaneOrientationSequence": values(ImageOrientationPatient=[1, 0, 0, 0, 0, -1]),
            "PixelMeasuresSequence": measures,
            "ParametricMapFrameTypeSequence": values(FrameType=_TYPE),
            "FrameVOILUTSequence": values(WindowCenter="0.5", WindowWidth="1"),
            "PixelValueTransformationSequence": values(
                RescaleIntercept=0, RescaleSlope=1, RescaleType="US"
            ),
            "RealWorldValueMappingSequence": hd.pm.RealWorldValueMapping(
                lut_label=each.name,
                lut_explanation=each.words,
                unit=codes.NO_UNITS,
                value_range=(0.0, 1.0),
                slope=1.0,
                intercept=0.0,
                quantity_definition=each.quantity,
            ),
        },
        own={
            "DerivationImageSequence": derivation(
                lineage.source, codes.CALCULATED, same_pixels=False
            ),
            "PlanePositionSequence": values(ImagePositionPatient=[0, 0, 0]),
        },
    )
