"""The grayscale pipeline from stored values to the image; `dicom_node.pixels` lists its steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from dicom_node.dicom.header import number, numbers, text
from dicom_node.domain.values import Image
from dicom_node.pixels.decode import decode, meaning
from dicom_node.pixels.files import quiet
from dicom_node.pixels.geometry import spacing, straighten
from dicom_node.pixels.grayscale import Counts, Table, logarithm, modality, stretch, voi
from dicom_node.pixels.layout import Layout, Stored

#: About this many pixels are counted for the film's own range.
SAMPLE = 250_000


def to_image(ds: Dataset) -> Image:
    """Make the film's image; `dicom_node.pixels` lists the steps.

    Returns
    -------
    Image
        ``notes`` says where the window came from (``window``: header, lut or pixels), whether the
        stored values were inverted (``inverted``), ``transfer_syntax`` and ``decoder``, and, only
        if they apply, ``logarithm``, ``polarity`` (the header contradicts itself), ``decoding``
        (with errors), ``header`` (what the compressed stream says otherwise), ``aspect`` and
        ``mirrored`` (see `dicom_node.pixels.geometry`).

    Raises
    ------
    UnreadablePixels
        Colour, several frames, too many pixels, or pixels that do not decode.
    """
    with quiet():
        decoded = decode(ds)
        counts = _count(decoded.values)
        grey, notes = _grey(ds, decoded.layout, counts)
        pixels = _looked_up(grey.astype(np.float32), decoded.values)
        notes |= {
            "transfer_syntax": str(ds.file_meta.TransferSyntaxUID),
            "decoder": decoded.decoder,
        }
        if decoded.flawed:
            notes["decoding"] = "with errors"
        if decoded.layout.differs:
            notes["header"] = f"contradicts the stream: {', '.join(decoded.layout.differs)}"
        pixels, geometry, changes = straighten(pixels, ds)
        between = spacing(ds, ("PixelSpacing", "ImagerPixelSpacing"))
        if between is not None and "aspect" in changes:
            between = min(between), min(between)
        return Image(pixels=pixels, spacing_mm=between, geometry=geometry, notes=notes | changes)


def _looked_up(grey: NDArray[np.float32], stored: Stored) -> NDArray[np.float32]:
    """The grey of each pixel, in two threads: numpy looks up without Python's lock.

    The table has an entry for every value that the pixels' type can hold.
    """
    pixels, middle = np.empty(stored.shape, np.float32), len(stored) // 2

    def look_up(rows: slice) -> None:
        np.take(grey, stored[rows], out=pixels[rows], mode="clip")  # other modes copy first

    with ThreadPoolExecutor(1) as other:
        upper = other.submit(look_up, slice(middle))
        look_up(slice(middle, None))
        upper.result()
    return pixels


def _count(stored: Stored) -> Counts:
    """Number of pixels with each bit pattern, in a regular sample of the film."""
    step = max(1, int((stored.size / SAMPLE) ** 0.5))
    return np.bincount(stored[::step, ::step].ravel(), minlength=1 << (8 * stored.itemsize))


def _grey(ds: Dataset, layout: Layout, counts: Counts) -> tuple[Table, dict[str, str]]:
    """Compute steps 1 to 5 for every bit pattern."""
    stored = meaning(layout, counts)
    padding = _padding(ds, stored)
    film = np.where(padding, 0, counts)
    values = modality(ds, stored)
    dense_is_low = _dense_is_low(ds)
    notes = {"inverted": "yes" if dense_is_low else "no"}
    if _contradictory(ds):
        notes["polarity"] = "the header contradicts itself"
    if (shown := voi(ds, values, film)) is not None:
        grey, notes["window"] = shown
    else:
        if _is_linear(ds):
            values = logarithm(values, film, dense_is_low=dense_is_low)
            notes["logarithm"] = "yes"
        grey, notes["window"] = stretch(values, film), "pixels"
    if dense_is_low:
        grey = 1 - grey
    return np.where(padding, 0.0, grey), notes


def _padding(ds: Dataset, stored: Table) -> NDArray[np.bool_]:
    """Which stored values are Pixel Padding, whether its limits were parsed as US or SS."""
    limits = numbers(ds, "PixelPaddingValue") + numbers(ds, "PixelPaddingRangeLimit")
    if not limits:
        return np.zeros(stored.shape, dtype=bool)
    wrap = stored.size
    inside = [limit + wrap if limit < stored.min() else limit for limit in limits]
    inside = [limit - wrap if limit > stored.max() else limit for limit in inside]
    padding: NDArray[np.bool_] = (stored >= min(inside)) & (stored <= max(inside))
    return padding


def _dense_is_low(ds: Dataset) -> bool:
    """Whether low values are dense (bone), so that grey must be inverted to show bone white.

    For presentation: MONOCHROME1, or Presentation LUT Shape INVERSE. The two do not cancel out: the
    standard requires INVERSE *with* MONOCHROME1 (PS3.3 C.8.11.3). For processing: the Pixel
    Intensity Relationship Sign decides.
    """
    sign = number(ds, "PixelIntensityRelationshipSign", 0)
    if _for_processing(ds) and sign:
        return sign > 0  # 1: lower values, less beam (PS3.3 C.8.11.3.1.2)
    inverse = text(ds, "PresentationLUTShape") == "INVERSE"
    return text(ds, "PhotometricInterpretation") == "MONOCHROME1" or inverse


def _contradictory(ds: Dataset) -> bool:
    shape = text(ds, "PresentationLUTShape")
    monochrome1 = text(ds, "PhotometricInterpretation") == "MONOCHROME1"
    return shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != monochrome1


def _for_processing(ds: Dataset) -> bool:
    intent = text(ds, "PresentationIntentType")
    return intent == "FOR PROCESSING" or ds.get("SOPClassUID") == (
        DigitalXRayImageStorageForProcessing
    )


def _is_linear(ds: Dataset) -> bool:
    return _for_processing(ds) and text(ds, "PixelIntensityRelationship") == "LIN"
