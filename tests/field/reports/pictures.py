"""Reports about pixels: how they are encoded, and how they become grey."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless

from dicom_node.demo.phantom import FloatMap
from field.reports.report import Report, bits, chest, explicit, part10, shown

PIXELS = 0x7FE00010


def padded(count: int) -> bytes:
    """Bytes behind the last pixel, within Pixel Data."""
    ds = chest()
    ds.PixelData += bytes(count)
    return part10(ds)


def odd(*, padding: bool) -> bytes:
    """An odd number of pixels of one byte, with the padding byte or without it."""
    picture = shown()[:127, :95]
    ds = chest(stored=bits(8))
    ds.Rows, ds.Columns = picture.shape
    ds.PixelData = np.rint(picture * 255).astype(np.uint8).tobytes() + b"\0" * padding
    value = bytes(ds.PixelData)
    return part10(ds, (PIXELS, explicit(PIXELS, "OB", value)))


def odd_picture() -> FloatMap:
    """What `odd` shows."""
    return shown()[:127, :95]


def rescaled(slope: str, intercept: str, **elements: Any) -> Dataset:
    """Stored values that are the film only once they are rescaled."""
    return chest(window=None, RescaleSlope=slope, RescaleIntercept=intercept, **elements)


def raw_text(ds: Dataset, *values: tuple[int, str, bytes]) -> bytes:
    """The film with text that pydicom would not write."""
    return part10(ds, *((tag, explicit(tag, vr, value)) for tag, vr, value in values))


def inverted() -> Dataset:
    """Rescale Slope -1 with MONOCHROME2: dense tissue has low stored values."""
    ds = chest(window=(-2047.5, 4096))
    values = np.frombuffer(ds.PixelData, "<u2")
    ds.PixelData = (4095 - values).astype("<u2").tobytes()
    ds.RescaleSlope, ds.RescaleIntercept = "-1", "0"
    return ds


def changed(ds: Dataset, change: Any, **elements: Any) -> bytes:
    """The film with other stored values and elements."""
    ds.PixelData = change(np.frombuffer(ds.PixelData, "<u2")).astype("<u2").tobytes()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return part10(ds)


def low_byte_only(syntax: UID) -> bytes:
    """8 bits stored of 16 allocated."""
    ds = chest(stored=bits(8))
    values = np.frombuffer(ds.PixelData, np.uint8)[: ds.Rows * ds.Columns]
    ds.PixelData = values.astype("<u2").tobytes()
    ds.BitsAllocated = 16
    ds["PixelData"].VR = "OW"
    if syntax != ExplicitVRLittleEndian:
        ds.compress(syntax, generate_instance_uid=False)
    return part10(ds)


def with_voi_lut(entries: int, declared: int) -> bytes:
    """A VOI LUT and no window."""
    ds, lut = chest(window=None), Dataset()
    lut.add_new("LUTDescriptor", "US", [entries, 0, declared])
    lut.add_new("LUTData", "US", [int(each) for each in np.arange(entries)])
    ds.VOILUTSequence = [lut]
    return part10(ds)


def as_un() -> bytes:
    """Pixel Data whose VR is UN."""
    ds = chest()
    return part10(ds, (PIXELS, explicit(PIXELS, "UN", bytes(ds.PixelData))))


def tall_pixels() -> bytes:
    """Every second row only, with a spacing that says so."""
    ds = chest(spacing=None)
    ds.PixelData = np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, -1)[::2].tobytes()
    ds.Rows //= 2
    ds.PixelSpacing = [0.4, 0.2]
    return part10(ds)


REPORTS = (
    Report(
        thread="pydicom/pydicom#796",
        trouble="excess padding behind the pixels was an error",
        answer="ignores it (PS3.5 8.1.1)",
        make=lambda: padded(5434),
    ),
    Report(
        thread="pydicom/pydicom#599",
        trouble="one padding byte behind an odd number of pixels was an error",
        answer="ignores it",
        make=lambda: odd(padding=True),
        picture=odd_picture,
    ),
    Report(
        thread="pydicom/pydicom#866",
        trouble="Pixel Data of odd length, without the padding byte",
        answer="reads them",
        make=lambda: odd(padding=False),
        picture=odd_picture,
    ),
    Report(
        thread="OHIF/Viewers#3544",
        trouble="Pixel Data with VR UN were not shown",
        answer="reads them as words",
        make=as_un,
    ),
    Report(
        thread="OHIF/Viewers#127",
        trouble="a negative Rescale Slope was not followed by everyone",
        answer="applies it before the window",
        make=lambda: part10(inverted()),
    ),
    Report(
        thread="OHIF/Viewers#4116",
        trouble="MONOCHROME1 was shown as MONOCHROME2",
        answer="inverts it",
        make=lambda: part10(chest(stored=bits(12, photometric="MONOCHROME1"))),
    ),
    Report(
        thread="ome/bioformats#3620",
        trouble="MONOCHROME1 of 16 bits with a window was inverted wrongly",
        answer="inverts after the window",
        make=lambda: part10(chest(stored=bits(16, photometric="MONOCHROME1"))),
    ),
    Report(
        thread="cornerstonejs/cornerstoneWADOImageLoader#528",
        trouble="14 bits stored, and both bits above them set",
        answer="takes the bits stored",
        make=lambda: changed(chest(stored=bits(14)), lambda values: values | 0xC000),
    ),
    Report(
        thread="cornerstonejs/cornerstoneWADOImageLoader#161",
        trouble="signed values of 12 bits were taken for unsigned ones",
        answer="reads two's complement",
        make=lambda: part10(chest(stored=bits(12, signed=True))),
    ),
    Report(
        thread="cornerstonejs/cornerstoneWADOImageLoader#76",
        trouble="Smallest and Largest Image Pixel Value of 0 made the image black",
        answer="does not use them",
        make=lambda: part10(
            chest(window=None, SmallestImagePixelValue=0, LargestImagePixelValue=0)
        ),
        within=0.05,
    ),
    Report(
        thread="cornerstonejs/cornerstone#79",
        trouble="a VOI LUT and no window; its bits differ from those stored",
        answer="applies the VOI LUT",
        make=lambda: with_voi_lut(4096, 16),
    ),
    Report(
        thread="pydicom/pydicom#1073",
        trouble="Window Width 0 was an error",
        answer="makes the window from the pixels",
        make=lambda: part10(chest(window=(0.0, 0.0))),
        within=0.05,
    ),
    Report(
        thread="Enet4/dicom-rs#826",
        trouble="a Window Width below 1 with a small Rescale Slope made the image black",
        answer="applies it as LINEAR_EXACT",
        make=lambda: raw_text(
            chest(),
            (0x00281050, "DS", b"0.5 "), (0x00281051, "DS", b"0.9997558594"),
            (0x00281052, "DS", b"0 "), (0x00281053, "DS", b"0.000244140625"),
        ),
    ),
    Report(
        thread="fo-dicom/fo-dicom#1756",
        trouble="`NaN` as window centre and width was an error",
        answer="makes the window from the pixels",
        make=lambda: raw_text(
            chest(), (0x00281050, "DS", b"NaN "), (0x00281051, "DS", b"NaN ")
        ),
        within=0.05,
    ),
    Report(
        thread="InsightSoftwareConsortium/ITK#5290",
        trouble="signed 16 bits with Rescale Intercept 32768 were not read",
        answer="rescales them",
        make=lambda: part10(
            chest(stored=bits(16, signed=True), window=(32768, 65536), RescaleIntercept="32768",
                  RescaleSlope="1")
        ),
    ),
    Report(
        thread="InsightSoftwareConsortium/ITK#851",
        trouble="8 bits stored of 16 allocated crashed",
        answer="reads them",
        make=lambda: low_byte_only(ExplicitVRLittleEndian),
    ),
    Report(
        thread="dcm4che/dcm4che#741",
        trouble="8 bits stored of 16 allocated, compressed: half of the bytes were lost",
        answer="reads them",
        make=lambda: low_byte_only(JPEGLSLossless),
    ),
    Report(
        thread="Project-MONAI/monai-deploy-app-sdk#187",
        trouble="no Rescale Intercept was an error",
        answer="takes 0",
        make=lambda: part10(chest(without=["RescaleIntercept", "RescaleSlope"])),
    ),
    Report(
        thread="Project-MONAI/monai-deploy-app-sdk#280",
        trouble="no Pixel Spacing, only Imager Pixel Spacing, was an error",
        answer="takes the other",
        make=lambda: part10(chest(without=["PixelSpacing"])),
    ),
    Report(
        thread="fo-dicom/fo-dicom#766",
        trouble="pixels twice as high as wide were shown as squares",
        answer="resamples first",
        make=tall_pixels,
        within=0.03,
    ),
)  # fmt: skip
