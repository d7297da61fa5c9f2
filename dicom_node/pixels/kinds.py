"""Whether a data set holds one grey image; selection and decoding share these checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.dicom.header import number, text
from dicom_node.domain.values import Refusal, RefusalCode

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_GREY = frozenset({"MONOCHROME1", "MONOCHROME2", ""})
# Photometric Interpretation, PS3.3 C.7.6.3.1.2: the values that a reason may quote.
_COLOUR = frozenset(
    {
        *("ARGB", "CMYK", "HSV", "PALETTE COLOR", "RGB", "XYB", "YBR_FULL", "YBR_FULL_422"),
        *("YBR_ICT", "YBR_PARTIAL_420", "YBR_PARTIAL_422", "YBR_RCT"),
    }
)


def refuse_colour(ds: Dataset) -> Refusal | None:
    """Refuse a Photometric Interpretation other than MONOCHROME1 or 2; blank passes."""
    samples, photometric = number(ds, "SamplesPerPixel", 1), text(ds, "PhotometricInterpretation")
    if samples == 1 and photometric in _GREY:
        return None
    kind = f"{samples:g} samples per pixel" if photometric in _GREY else "an unknown colour space"
    kind = photometric if photometric in _COLOUR else kind
    return Refusal(code=RefusalCode.PHOTOMETRIC, reason=f"the image is not grey ({kind})")


def refuse_frames(ds: Dataset) -> Refusal | None:
    """Refuse an object of several frames."""
    if (frames := number(ds, "NumberOfFrames", 1)) <= 1:
        return None
    return Refusal(code=RefusalCode.FRAMES, reason=f"the object has {frames:g} frames")
