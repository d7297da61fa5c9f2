"""A picture as a Secondary Capture Image (PS3.3 A.8), which every viewer can show."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit, JPEGLSLossless
from pydicom.valuerep import DSfloat

from dicom_node.compose import codes, source_reference
from dicom_node.compose.lineage import Kind, Lineage, item
from dicom_node.compose.sanitize import clean

if TYPE_CHECKING:
    from dicom_node.explain import Overlay

# Of 100; below this, thin lines and small text get visible artefacts
_JPEG_QUALITY = 92


def secondary_capture(
    lineage: Lineage, kind: Kind, overlay: Overlay, instance_number: int
) -> Dataset:
    """Build the object that holds one picture, encoded as ``results.encoding`` says."""
    ds = lineage.derive(kind, f"sc-{overlay.kind}", instance_number)
    request = clean(lineage.source, ["RequestAttributesSequence"])
    if request.get("RequestAttributesSequence"):
        ds.RequestAttributesSequence = request.RequestAttributesSequence
    ds.ConversionType = "SYN"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.BurnedInAnnotation = "YES"
    ds.ImageComments = overlay.title
    source_reference.orient(ds, lineage.source)
    source_reference.lossy(ds, lineage.source)
    source_reference.refer(ds, lineage.source)
    _descend(ds, lineage.source, overlay)
    _space(ds, lineage.source, overlay.factor)
    _describe_pixels(ds, overlay)
    if lineage.context.results.encoding == "jpeg":
        _compress_lossy(ds, overlay)
        return ds
    data = overlay.rgb.tobytes()
    _set_pixels(ds, data + b"\0" * (len(data) % 2))
    if lineage.context.results.encoding == "jpeg-ls":
        ds.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    return ds


def _descend(ds: Dataset, source: Dataset, overlay: Overlay) -> None:
    """Name the film this picture was derived from, and how (PS3.3 C.7.6.1.1.3)."""
    ds.DerivationDescription = overlay.description[:1024]  # ST
    film = source_reference.source_item(source, same_pixels=False)
    ds.SourceImageSequence = Sequence([film])
    ds.DerivationCodeSequence = Sequence([item(codes.RESAMPLING)])


def _space(ds: Dataset, source: Dataset, factor: float | None) -> None:
    """Write the pixel spacing if there is a film in the picture."""
    if factor is None:
        return
    film = clean(source, ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"])
    if film.get("PixelSpacing"):
        ds.PixelSpacing = _scaled(film.PixelSpacing, factor)
        calibration = clean(
            source, ["PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription"]
        )
        for element in calibration:
            ds.add(element)
        return
    nominal = film.get("ImagerPixelSpacing") or film.get("NominalScannedPixelSpacing")
    if nominal:
        ds.NominalScannedPixelSpacing = _scaled(nominal, factor)


def _scaled(spacing: list[float], factor: float) -> list[DSfloat]:
    return [DSfloat(float(value) * factor, auto_format=True) for value in spacing]


def _describe_pixels(ds: Dataset, overlay: Overlay) -> None:
    """Image Pixel module, PS3.3 C.7.6.3, without the pixels."""
    ds.Rows, ds.Columns, ds.SamplesPerPixel = overlay.rgb.shape
    ds.PhotometricInterpretation = "RGB"
    ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0


def _set_pixels(ds: Dataset, data: bytes) -> None:
    ds.PixelData = data
    ds["PixelData"].VR = "OB"


def _compress_lossy(ds: Dataset, overlay: Overlay) -> None:
    """Compress with JPEG Baseline (PS3.5 8.2.1) and append to the film's own lossy compressions.

    PS3.3 C.7.6.1.1.5: ratios and methods list every lossy step, the earliest first.
    """
    file = BytesIO()
    Image.fromarray(overlay.rgb).save(file, "JPEG", quality=_JPEG_QUALITY, subsampling="4:2:2")
    frame = file.getvalue()
    ratio = round(overlay.rgb.nbytes / len(frame), 2)
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PhotometricInterpretation = "YBR_FULL_422"
    _set_pixels(ds, encapsulate([frame]))
    ds["PixelData"].is_undefined_length = True
    ds.LossyImageCompression = "01"
    ds.LossyImageCompressionRatio = [*_values(ds, "LossyImageCompressionRatio"), ratio]
    ds.LossyImageCompressionMethod = [*_values(ds, "LossyImageCompressionMethod"), "ISO_10918_1"]
    lossy = f"; then JPEG baseline, quality {_JPEG_QUALITY}, ratio {ratio:g}"
    ds.DerivationDescription = f"{overlay.description[: 1024 - len(lossy)]}{lossy}"  # ST
    ds.DerivationCodeSequence = Sequence(
        [*ds.get("DerivationCodeSequence", []), item(codes.LOSSY_COMPRESSION)]
    )


def _values(ds: Dataset, keyword: str) -> list[object]:
    """List the values of an element that has none, one or several."""
    value = ds.get(keyword)
    return list(value) if isinstance(value, MultiValue) else [] if value is None else [value]
