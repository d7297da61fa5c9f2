"""Films from whatever their publishers ship: (H, W) float32 in [0, 1], white is dense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dicom_node import pixels

_PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff"}
_JSRT_SIDE, _JSRT_WHITE = 2048, 4095


def load_pixels(path: Path) -> NDArray[np.float32]:
    """Load a film: a picture, a DICOM file (as the node reads it), or JSRT's raw ``.IMG``.

    The kind is seen from the file's ending. A deep grey picture is spread from its own minimum to
    its maximum, an 8 bit one is not.

    Returns
    -------
    array
        (H, W) float32 in [0, 1], 1 white.

    Raises
    ------
    Refused
        A DICOM file cannot be read; the reason is its code.
    OSError
        The file is missing, or is no such picture.
    """
    suffix = path.suffix.lower()
    if suffix in _PICTURES:
        return _picture(path)
    if suffix == ".img":
        return _jsrt(path)
    return pixels.to_image(pixels.read_dataset(path)).pixels


def _picture(path: Path) -> NDArray[np.float32]:
    with Image.open(path) as picture:
        if not picture.mode.startswith(("I", "F")):
            return np.asarray(picture.convert("L"), dtype=np.float32) / 255.0
        deep = np.asarray(picture, dtype=np.float32)  # 16 bit without a window: its own range
    low, high = float(deep.min()), float(deep.max())
    return (deep - low) / (high - low) if high > low else np.zeros_like(deep)


def _jsrt(path: Path) -> NDArray[np.float32]:
    """12 bit, big endian, no header; low is dense."""
    raw = np.fromfile(path, ">u2").reshape(_JSRT_SIDE, _JSRT_SIDE)
    return (1.0 - raw.clip(0, _JSRT_WHITE) / _JSRT_WHITE).astype(np.float32)
