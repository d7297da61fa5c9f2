"""A synthetic chest radiograph as a DICOM data set: what every test sends, reads or composes from.

`phantom` draws the picture, `film` wraps it in a CR, DX or Secondary Capture data set, `write`
puts that on disk.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image as PILImage
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from dicom_node.demo.phantom import FloatMap, phantom

Kind: TypeAlias = Literal["cr", "dx", "dx-processing", "sc"]

SOP_CLASSES: dict[Kind, UID] = {
    "cr": ComputedRadiographyImageStorage,
    "dx": DigitalXRayImageStorageForPresentation,
    "dx-processing": DigitalXRayImageStorageForProcessing,
    "sc": SecondaryCaptureImageStorage,
}

# View Position -> View Code, CID 4010.
VIEW_CODES = {
    "PA": ("272479007", "SCT", "postero-anterior"),
    "AP": ("399348003", "SCT", "antero-posterior"),
    "LL": ("399173006", "SCT", "left lateral"),
    "RL": ("399198007", "SCT", "right lateral"),
}

#: How strongly the phantom's densest point weakens the beam, for the linear "for processing" film.
ATTENUATION = 3.5

__all__ = ["Stored", "code", "film", "phantom", "write"]


@dataclass(frozen=True)
class Stored:
    """How the samples are stored.

    Parameters
    ----------
    bits
        Bits Stored, 8 to 16; 8 is allocated in bytes.
    signed
        Pixel Representation 1: two's complement around zero.
    photometric
        MONOCHROME1 or MONOCHROME2; the picture stays the same.
    """

    bits: int = 12
    signed: bool = False
    photometric: str = "MONOCHROME2"


def film(
    picture: FloatMap | None = None,
    *,
    kind: Kind = "cr",
    stored: Stored = Stored(),
    window: tuple[float, float] | Literal["full"] | None = "full",
    spacing: tuple[float, float] | None = (0.7, 0.7),
    syntax: str = ExplicitVRLittleEndian,
    without: Iterable[str] = (),
    **elements: object,
) -> Dataset:
    """Build a complete chest radiograph data set with file meta.

    Parameters
    ----------
    picture
        (rows, columns) in [0, 1], 1 = dense; None draws the `phantom`.
    kind
        "dx-processing" stores linear detector counts (more beam, higher value), not densities.
    window
        "full" maps the picture's [0, 1] back exactly; (centre, width); None leaves it out.
    spacing
        (row, column) distance of pixels in mm.
    syntax
        UID of the transfer syntax.
    without
        Keywords to leave out in the end.
    **elements
        Any other element by its keyword, ``PatientID="P7"``; it wins over the default.
    """
    if picture is None:
        picture = phantom()
    ds = _headers(kind)
    _set_pixels(ds, picture, kind, stored)
    _set_window(ds, window)
    _set_spacing(ds, kind, spacing)
    with warnings.catch_warnings(action="ignore"):  # tests ask for the illegal
        for keyword, value in elements.items():
            setattr(ds, keyword, value)
    if kind.startswith("dx"):
        _dx_codes(ds)
    for keyword in without:
        if keyword in ds:
            delattr(ds, keyword)
    ds.file_meta = _file_meta(ds)
    return _encode(ds, UID(syntax))


def write(ds: Dataset, path: Path) -> Path:
    """Write a Part 10 file (as it is, legal or not) and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """One item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _headers(kind: Kind) -> Dataset:
    ds = Dataset()
    for level in ("Study", "Series", "SOP"):
        setattr(ds, f"{level}InstanceUID", generate_uid())
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY"] + ([""] if kind.startswith("dx") else [])
    ds.SOPClassUID = SOP_CLASSES[kind]
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = ds.AcquisitionDate = "20260102"
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = ds.AcquisitionTime = "030405"
    ds.AccessionNumber = "A1"
    ds.Modality = "DX" if kind.startswith("dx") else "CR"
    ds.Manufacturer, ds.ManufacturerModelName = "Phantom", "Numpy"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "Chest"
    ds.PatientName, ds.PatientID = "Phantom^Chest", "PHANTOM-1"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19700101", "O", "056Y"
    ds.BodyPartExamined, ds.ViewPosition = "CHEST", "PA"
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "1", 1, 1
    ds.PatientOrientation = ["L", "F"]
    ds.BurnedInAnnotation = "NO"
    if kind == "sc":
        ds.ConversionType = "WSD"
    if kind.startswith("dx"):
        _dx_headers(ds, kind)
    return ds


def _dx_headers(ds: Dataset, kind: Kind) -> None:
    """What the DX modules ask for beyond CR (PS3.3 A.26, C.8.11)."""
    processing = kind == "dx-processing"
    ds.PresentationIntentType = "FOR PROCESSING" if processing else "FOR PRESENTATION"
    ds.PixelIntensityRelationship = "LIN" if processing else "LOG"
    ds.PixelIntensityRelationshipSign = 1 if processing else -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.LossyImageCompression = "00"
    ds.DetectorType, ds.DetectorConfiguration = "DIRECT", "AREA"
    ds.PositionerType = "NONE"
    ds.AcquisitionContextSequence = Sequence()
    ds.ImageLaterality = "U"  # a chest is unpaired


def _dx_codes(ds: Dataset) -> None:
    """Body part and view once more as codes, where no test gave its own."""
    if "AnatomicRegionSequence" not in ds and ds.BodyPartExamined == "CHEST":
        ds.AnatomicRegionSequence = Sequence([code("816094009", "SCT", "Chest")])
    if "ViewCodeSequence" not in ds and ds.ViewPosition in VIEW_CODES:
        item = code(*VIEW_CODES[ds.ViewPosition])
        item.ViewModifierCodeSequence = Sequence()
        ds.ViewCodeSequence = Sequence([item])


def _set_pixels(ds: Dataset, picture: FloatMap, kind: Kind, stored: Stored) -> None:
    bits, signed, photometric = stored.bits, stored.signed, stored.photometric
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    shown = picture
    if kind == "dx-processing":
        shown = np.exp(-ATTENUATION * picture)  # the beam that comes through
    elif photometric == "MONOCHROME1":
        shown = 1 - picture
    allocated = 8 if bits <= 8 else 16
    samples = np.rint(low + shown.astype(np.float64) * (high - low))
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, photometric
    ds.Rows, ds.Columns = picture.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, bits, bits - 1
    ds.PixelRepresentation = int(signed)
    if kind.startswith("dx"):
        ds.PresentationLUTShape = "INVERSE" if photometric == "MONOCHROME1" else "IDENTITY"
    data = samples.astype(f"<{'i' if signed else 'u'}{allocated // 8}").tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if allocated == 8 else "OW"


def _set_window(ds: Dataset, window: tuple[float, float] | Literal["full"] | None) -> None:
    """Set centre and width; "full" by the LINEAR function's half steps (PS3.3 C.11.2.1.2.1)."""
    if window is None or (window == "full" and ds.SOPClassUID == SOP_CLASSES["dx-processing"]):
        return
    if window == "full":
        width = 1 << ds.BitsStored
        window = (0.0 if ds.PixelRepresentation else width / 2, width)
    ds.WindowCenter, ds.WindowWidth = window


def _set_spacing(ds: Dataset, kind: Kind, spacing: tuple[float, float] | None) -> None:
    if spacing is None:
        return
    if kind != "sc":
        ds.ImagerPixelSpacing = list(spacing)
    if kind in ("sc", "cr"):
        ds.PixelSpacing = list(spacing)


def _file_meta(ds: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", "")
    meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _encode(ds: Dataset, syntax: UID) -> Dataset:
    if syntax == JPEGBaseline8Bit:
        return _jpeg_baseline(ds)
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        return _by_gdcm(ds, syntax)
    if syntax.is_compressed and not syntax.is_deflated:
        ds.compress(syntax, generate_instance_uid=False)
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def _jpeg_baseline(ds: Dataset) -> Dataset:
    out = BytesIO()
    samples = np.frombuffer(ds.PixelData, np.uint8)[: ds.Rows * ds.Columns]
    PILImage.fromarray(samples.reshape(ds.Rows, ds.Columns)).save(out, "JPEG", quality=95)
    ds.PixelData = encapsulate([out.getvalue()])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", 10
    ds.LossyImageCompressionMethod = "ISO_10918_1"
    return ds


def _by_gdcm(ds: Dataset, syntax: UID) -> Dataset:
    """JPEG lossless, which pydicom cannot write; GDCM always writes selection value 1."""
    import gdcm  # only here, and only where it is asked for

    with tempfile.TemporaryDirectory() as folder:
        source, target = write(ds, Path(folder, "a.dcm")), Path(folder, "b.dcm")
        reader = gdcm.ImageReader()
        reader.SetFileName(str(source))
        reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        wanted = gdcm.TransferSyntax.JPEGLosslessProcess14_1
        change.SetTransferSyntax(gdcm.TransferSyntax(wanted))
        change.SetInput(reader.GetImage())
        change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(target))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.Write()
        compressed = dcmread(target)
    ds.PixelData = compressed.PixelData
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    return ds
