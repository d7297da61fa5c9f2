"""Check the length of pixel data, without decoding it (PS3.3 C.7.6.3, PS3.5 A.4)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom.encaps import parse_basic_offsets, parse_fragments
from pydicom.uid import ParametricMapStorage, SecondaryCaptureImageStorage, SegmentationStorage

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_IMAGES = (ParametricMapStorage, SecondaryCaptureImageStorage, SegmentationStorage)
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# Photometric Interpretation -> samples a pixel, PS3.3 C.7.6.3.1.2
_SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1}


def check_pixels(ds: Dataset) -> Iterator[str]:
    """Compare the pixel data of an image with its Image Pixel module."""
    found = [keyword for keyword in _PIXELS if keyword in ds]
    is_image = ds.get("SOPClassUID") in _IMAGES
    if len(found) != is_image:
        yield f"{len(found)} pixel data elements instead of {int(is_image)}"
        return
    if not is_image:
        return
    yield from _check_depth(ds)
    frames = int(ds.get("NumberOfFrames") or 1)
    if "PerFrameFunctionalGroupsSequence" in ds and frames != len(
        ds.PerFrameFunctionalGroupsSequence
    ):
        yield "NumberOfFrames is not the number of per-frame functional groups"
    data = ds[found[0]].value or b""
    if ds.file_meta.TransferSyntaxUID.is_encapsulated:
        yield from _check_encapsulated(data, frames)
    else:
        yield from _check_native(ds, data, frames)


def _check_depth(ds: Dataset) -> Iterator[str]:
    samples = ds.get("SamplesPerPixel")
    if samples != _SAMPLES.get(ds.get("PhotometricInterpretation", ""), 3):
        yield "SamplesPerPixel does not fit PhotometricInterpretation"
    if "PixelData" in ds:
        stored = ds.get("BitsStored") or 0
        if not 0 < stored <= (ds.get("BitsAllocated") or 0) or ds.get("HighBit") != stored - 1:
            yield "BitsAllocated, BitsStored and HighBit do not fit together"


def _check_native(ds: Dataset, data: bytes, frames: int) -> Iterator[str]:
    values = (ds.get("Rows") or 0) * (ds.get("Columns") or 0) * (ds.get("SamplesPerPixel") or 0)
    size = -(-values * frames * (ds.get("BitsAllocated") or 0) // 8)  # rounded up: bits are packed
    if not size or len(data) != size + size % 2:
        yield "the length of pixel data does not fit rows, columns, samples, bits and frames"


def _check_encapsulated(data: bytes, frames: int) -> Iterator[str]:
    buffer = BytesIO(data)
    try:
        offsets = parse_basic_offsets(buffer)
        fragments = parse_fragments(buffer)[0]
    except (ValueError, struct.error):
        yield "the encapsulated pixel data cannot be parsed"
        return
    if (len(offsets) or (fragments if frames > 1 else min(fragments, 1))) != frames:
        yield "the encapsulated pixel data does not hold NumberOfFrames frames"
