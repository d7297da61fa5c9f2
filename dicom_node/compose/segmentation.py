"""The lungs as a Segmentation (PS3.3 A.51), for viewers and programs.

The mask has the size of the film, because viewers lay it over the image pixel by pixel. highdicom
describes the segment; its Segmentation class takes over a second to check and pack a large mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import highdicom as hd
import numpy as np
from highdicom.color import CIELabColor
from PIL import Image as Picture
from pydicom.sequence import Sequence

from dicom_node.compose import codes, series, source_reference
from dicom_node.compose.frames import derivation, one_frame, pixel_measures, values
from dicom_node.explain import palette

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from dicom_node.compose.lineage import Lineage
    from dicom_node.domain.values import Image
    from models.reading import Reading


def segmentation(lineage: Lineage, image: Image, reading: Reading) -> Dataset:
    """Build the object that holds the aerated lungs."""
    ds = lineage.derive(series.SEGMENTATION, "seg", 1)
    source_reference.orient(ds, lineage.source)
    source_reference.lossy(ds, lineage.source)
    source_reference.refer(ds, lineage.source)
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.ContentLabel = "AI_LUNGS"
    ds.ContentDescription = "Lungs (stage 1) - NOT FOR DIAGNOSTIC USE"
    ds.ContentCreatorName = None
    ds.SegmentationType = "BINARY"
    ds.SegmentsOverlap = "NO"
    ds.SegmentSequence = Sequence([_lungs(lineage)])
    mask = _mask(reading, image.pixels.shape)
    _frame(ds, lineage, pixel_measures(image, mask.shape))
    _pixels(ds, mask)
    return ds


def _lungs(lineage: Lineage) -> hd.seg.SegmentDescription:
    model = lineage.model
    return hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="Lungs",
        segmented_property_category=codes.ANATOMICAL_STRUCTURE,
        segmented_property_type=codes.LUNG,
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="Lung segmentation",
            family=codes.AI,
            version=model.version,
            parameters={"model sha256": model.digest},
        ),
        tracking_id="lungs",
        tracking_uid=lineage.root.uid("tracking lungs"),
        display_color=CIELabColor.from_rgb(*palette.LUNGS),
    )


def _frame(ds: Dataset, lineage: Lineage, measures: Dataset) -> None:
    """Write position, orientation and thickness, although a radiograph has none.

    Without them OHIF never finishes loading, and the preview crashes archives built on GDCM.
    """
    one_frame(
        ds,
        lineage,
        ("SegmentIdentificationSequence", "ReferencedSegmentNumber"),
        shared={
            "PixelMeasuresSequence": measures,
            "PlaneOrientationSequence": values(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
            "SegmentIdentificationSequence": values(ReferencedSegmentNumber=1),
        },
        own={
            "DerivationImageSequence": derivation(
                lineage.source, codes.SEGMENTED, same_pixels=True
            ),
            "PlanePositionSequence": values(ImagePositionPatient=[0, 0, 0]),
        },
    )


def _mask(reading: Reading, film: tuple[int, ...]) -> NDArray[np.bool_]:
    """Scale the network's mask to the whole film; its border lies between two network pixels."""
    rows, columns = film
    small = Picture.fromarray(reading.frame.crop(reading.lungs.aerated).astype(np.uint8) * 255)
    large = small.resize((columns, rows), Picture.Resampling.BILINEAR)
    mask: NDArray[np.bool_] = np.asarray(large) >= 128
    return mask


def _pixels(ds: Dataset, mask: NDArray[np.bool_]) -> None:
    """Write the pixels, eight in a byte, the first in the lowest bit (PS3.5 8.1.1)."""
    ds.Rows, ds.Columns = mask.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit = ds.PixelRepresentation = 0
    data = np.packbits(mask, bitorder="little").tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB"
