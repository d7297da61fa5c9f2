"""One of the node's own Secondary Captures as a browser shows it."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import JPEGBaseline8Bit

if TYPE_CHECKING:
    from pathlib import Path


def as_picture(path: Path) -> tuple[bytes, str]:
    """Return the picture of a Secondary Capture that this node made, and its media type.

    JPEG stays as it is, anything else becomes PNG.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    ds = dcmread(path)
    if ds.file_meta.TransferSyntaxUID == JPEGBaseline8Bit:
        [frame] = generate_frames(ds.PixelData, number_of_frames=1)
        return frame, "image/jpeg"
    file = BytesIO()
    Image.fromarray(np.asarray(ds.pixel_array)).save(file, "PNG")
    return file.getvalue(), "image/png"
