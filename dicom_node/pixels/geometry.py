"""Pixels that are not square, and films that are stored as their mirror image.

The networks and the pictures want square pixels and the patient's left on the image's right, as
every viewer shows a frontal film. `Image.geometry` leads back to the film's own pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Picture

from dicom_node.dicom.header import numbers, text
from dicom_node.domain.values import Geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

#: A smaller difference between vertical and horizontal spacing is rounding.
TOLERANCE = 0.01
#: A greater ratio of the two is an error in the header.
LARGEST_RATIO = 10.0
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")


def spacing(ds: Dataset, keywords: tuple[str, ...] = _SPACINGS) -> tuple[float, float] | None:
    """Spacing of (rows, columns) in millimetres; None if it is missing or not positive."""
    for keyword in keywords:
        found = numbers(ds, keyword)
        if len(found) == 2 and min(found) > 0:
            return found[0], found[1]
    return None


def pixel_ratio(ds: Dataset) -> float:
    """Vertical over horizontal size of a pixel; 1 if the header does not say, or says nonsense.

    Pixel Aspect Ratio counts where no spacing is given (PS3.3 C.7.6.3.1.7).
    """
    sizes = spacing(ds) or numbers(ds, "PixelAspectRatio")
    if len(sizes) != 2 or min(sizes) <= 0:
        return 1.0
    ratio = sizes[0] / sizes[1]
    if abs(ratio - 1) <= TOLERANCE or not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        return 1.0
    return ratio


def mirrored_by(ds: Dataset) -> str | None:
    r"""Return the element by which the film is a mirror image; None if it is not.

    Patient Orientation R\F (PS3.3 C.7.6.1.1.1). Field of View Horizontal Flip (C.8.11.4) counts
    only if the film has no Patient Orientation, which describes the pixels as they are.
    """
    directions = text(ds, "PatientOrientation").split("\\")
    along, down = directions[0][:1], directions[1][:1] if len(directions) > 1 else ""
    if along:
        return "Patient Orientation" if (along, down) == ("R", "F") else None
    flipped = text(ds, "FieldOfViewHorizontalFlip") == "YES"
    return "Field of View Horizontal Flip" if flipped else None


def straighten(
    pixels: NDArray[np.float32], ds: Dataset
) -> tuple[NDArray[np.float32], Geometry | None, dict[str, str]]:
    """Make pixels square, by stretching the coarser axis, and turn a mirror image round.

    Returns
    -------
    pixels : array (rows, columns)
    geometry : Geometry or None
        None if nothing was changed.
    notes : dict
        ``aspect`` and ``mirrored``, if they apply.
    """
    rows, columns = pixels.shape
    notes: dict[str, str] = {}
    ratio, mirror = pixel_ratio(ds), mirrored_by(ds)
    if ratio != 1.0:
        tall, wide = round(rows * max(ratio, 1.0)), round(columns * max(1 / ratio, 1.0))
        stretched = Picture.fromarray(pixels).resize((wide, tall), Picture.Resampling.BILINEAR)
        pixels = np.asarray(stretched, np.float32)
        notes["aspect"] = f"resampled to square pixels from {ratio:.3g}:1"
    if mirror:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        notes["mirrored"] = mirror
    if not notes:
        return pixels, None, notes
    return pixels, Geometry(rows=rows, columns=columns, mirrored=mirror is not None), notes
