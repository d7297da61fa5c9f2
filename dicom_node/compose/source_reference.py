"""What every image says about its film: orientation, lossy compression, references."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000,
    JPEG2000MC,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from dicom_node.compose import codes
from dicom_node.compose.lineage import item, reference
from dicom_node.compose.sanitize import clean
from dicom_node.dicom.header import text

_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, JPEG2000MC)
# Used if the film has no Patient Orientation: a frontal chest, the patient facing the viewer
_FRONTAL = ("L", "F")


def orient(ds: Dataset, source: Dataset) -> None:
    """Write body part, Patient Orientation (Type 2C) and Image Laterality."""
    # Only chests are read; for an unpaired body part Laterality is not required.
    ds.BodyPartExamined = "CHEST"
    for element in clean(source, ["PatientOrientation", "ImageLaterality"]):
        ds.add(element)
    if not ds.get("PatientOrientation"):
        frontal = text(source, "ViewPosition") in ("PA", "AP")
        ds.PatientOrientation = list(_FRONTAL) if frontal else None


def lossy(ds: Dataset, source: Dataset) -> None:
    """Copy the film's lossy compression: once lossy, always lossy (PS3.3 C.7.6.1.1.5)."""
    syntax = source.file_meta.get("TransferSyntaxUID") if hasattr(source, "file_meta") else None
    if text(source, "LossyImageCompression") != "01" and syntax not in _LOSSY:
        ds.LossyImageCompression = "00"
        return
    ds.LossyImageCompression = "01"
    for element in clean(source, ["LossyImageCompressionRatio", "LossyImageCompressionMethod"]):
        ds.add(element)


def refer(ds: Dataset, source: Dataset) -> None:
    """Write Common Instance Reference (PS3.3 C.12.2): the film and nothing else."""
    series = Dataset()
    series.SeriesInstanceUID = source.SeriesInstanceUID
    series.ReferencedInstanceSequence = Sequence([reference(source)])
    ds.ReferencedSeriesSequence = Sequence([series])


def source_item(source: Dataset, *, same_pixels: bool) -> Dataset:
    """Build an item of Source Image Sequence; ``same_pixels``: pixel positions are preserved."""
    ref = reference(source)
    ref.PurposeOfReferenceCodeSequence = Sequence([item(codes.SOURCE_IMAGE)])
    ref.SpatialLocationsPreserved = "YES" if same_pixels else "NO"
    return ref
