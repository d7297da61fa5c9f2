"""Decode the Pixel Data of one film to stored values, with the fastest decoder available."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_node.dicom.header import text
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.domain.values import RefusalCode
from dicom_node.errors import UnreadablePixels
from dicom_node.pixels.extended_jpeg import extended_jpeg
from dicom_node.pixels.grayscale import Counts, Table
from dicom_node.pixels.kinds import refuse_colour, refuse_frames
from dicom_node.pixels.layout import Layout, Stored, layout_of, stored_values
from dicom_node.pixels.sandbox import SANDBOX, DecoderDied, Sandbox

# Transfer syntax -> the decoder to try first: the fastest, measured at 2500 x 2048, 12 bit. The
# others are tried if it fails.
QUICKEST: dict[str, str] = {
    RLELossless: "pylibjpeg",  # 22 ms; pydicom's own 280
    JPEGBaseline8Bit: "gdcm",  # 104 ms, pillow 29; but it reports damage
    JPEGExtended12Bit: "gdcm",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEGLSLossless: "pyjpegls",  # 140 ms; gdcm 260
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000: "pylibjpeg",  # gdcm is faster (570 ms to 880), but holds OpenJPEG 2.3.0 of 2017
    JPEG2000Lossless: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Stored values as unsigned bit patterns, and what is known about them."""

    values: Stored  # (rows, columns)
    layout: Layout
    decoder: str  # "none" for native pixels
    flawed: bool = False  # the decoder met errors in the stream and went on


class _PanicIsAnError:
    """Turn a panic of pylibjpeg-rle, which is written in Rust, into a RuntimeError.

    Some truncated streams cause one; it is a BaseException and would end the process.
    """

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, panic: object, trace: object) -> None:
        if kind is not None and kind.__name__ == "PanicException":
            raise RuntimeError(f"the decoder panicked: {panic}")


def decode(ds: Dataset) -> Decoded:
    """Decode one film.

    Compressed pixels are decoded in a child process, see `dicom_node.pixels.decoder_process`.

    Raises
    ------
    UnreadablePixels
        Colour, several frames, too many pixels, or no decoder can read them.
    """
    if refusal := refuse_colour(ds) or refuse_frames(ds):
        raise UnreadablePixels(refusal.code, refusal.reason)
    syntax = UID(text(ds.file_meta, "TransferSyntaxUID"), validation_mode=IGNORE)
    failure: Exception | None = None
    layout = layout_of(ds, syntax)
    for plugin in plugins_of(syntax):
        try:
            if plugin:
                return decode_in_child(ds, syntax, plugin, SANDBOX)
            return Decoded(values=decode_with(ds, syntax, ""), layout=layout, decoder="none")
        except DecoderDied as error:
            reason = f"the decoder died on the pixels ({syntax.name[:50]}: {error})"
            raise UnreadablePixels(RefusalCode.UNREADABLE, reason) from error
        except (*MALFORMED, OSError) as error:
            failure = error
    named = syntax.name if syntax.name != str(syntax) else "unknown transfer syntax"
    reason = f"the pixels do not decode ({named[:80]})"
    raise UnreadablePixels(RefusalCode.UNREADABLE, reason) from failure


def decode_in_child(ds: Dataset, syntax: UID, plugin: str, sandbox: Sandbox) -> Decoded:
    """Decode in the sandbox's process.

    Raises
    ------
    DecoderDied
        The process crashed or took too long.
    ValueError
        The pixels do not decode, or to another number of pixels.
    """
    layout = layout_of(ds, syntax)
    elements = {
        "Rows": layout.rows,
        "Columns": layout.columns,
        "BitsAllocated": layout.allocated,
        "BitsStored": layout.stored,
        "HighBit": layout.stored + layout.shift - 1,
        "PixelRepresentation": int(layout.signed),
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
    }
    request = {"elements": elements, "syntax": str(syntax), "plugin": plugin}
    answer, pixels = sandbox.ask(request, ds.PixelData)
    values = stored_values(pixels, layout)
    return Decoded(values=values, layout=layout, decoder=plugin, flawed=bool(answer.get("flawed")))


def plugins_of(syntax: UID) -> list[str]:
    """Decoders of this syntax, the fastest first; "" is numpy. Empty if none is installed."""
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return []
    if decoder.is_native:
        return [""]
    return sorted(decoder.available_plugins, key=lambda name: name != QUICKEST.get(syntax))


def decode_with(ds: Dataset, syntax: UID, plugin: str) -> Stored:
    """Decode in this process; raises whatever the decoder raises."""
    layout = layout_of(ds, syntax)
    with _PanicIsAnError():
        if syntax == JPEGExtended12Bit and plugin == "gdcm":
            return extended_jpeg(ds.PixelData, layout)
        return _decoded(ds, layout, syntax, plugin)


def _decoded(ds: Dataset, layout: Layout, syntax: UID, plugin: str) -> Stored:
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",  # inversion is our step 4
        "bits_allocated": layout.allocated,
        "bits_stored": layout.stored,
        "pixel_representation": int(layout.signed),
        "number_of_frames": 1,
        "correct_unused_bits": False,  # `meaning` does so, with regard to High Bit
        "view_only": True,
    }
    values, _ = get_decoder(syntax).as_array(
        ds, index=0, raw=True, decoding_plugin=plugin, **options
    )
    size, kind = (layout.rows, layout.columns), "i" if layout.signed else "u"
    if values.shape != size or values.dtype.kind not in "iu" or values.dtype.itemsize > 2:
        raise ValueError(f"decoded to {values.shape} {values.dtype}, expected {size}")
    wide = values.astype(f"{kind}{layout.allocated // 8}", copy=False)
    native = wide.astype(wide.dtype.newbyteorder("="), copy=False)
    return np.ascontiguousarray(native).view(f"u{layout.allocated // 8}")


def meaning(layout: Layout, counts: Counts) -> Table:
    """Value of each bit pattern, by Bits Stored, High Bit and Pixel Representation.

    A High Bit above Bits Stored - 1 says that the value lies further up (PS3.5 8.1.1); until 2004
    an overlay could lie below it. Many writers set it to 15 without regard to the value. Then the
    bits above the value are empty, or copies of its sign, while some of those below are not.
    """
    patterns = np.arange(counts.size, dtype=np.int64)
    if layout.claimed:
        claimed = replace(layout, stored=layout.claimed, claimed=None)
        layout = claimed if _lies_at_the_bottom(claimed, patterns, counts) else layout
    below = (1 << layout.shift) - 1
    if layout.shift and (
        not counts[patterns & below != 0].any() or not _lies_at_the_bottom(layout, patterns, counts)
    ):
        patterns >>= layout.shift
    return _signed(layout, patterns & ((1 << layout.stored) - 1)).astype(np.float64)


def _lies_at_the_bottom(layout: Layout, patterns: NDArray[np.int64], counts: Counts) -> bool:
    """Whether all bits above the value are empty, or copies of its sign."""
    low = patterns & ((1 << layout.stored) - 1)
    extended = _signed(layout, low) + counts.size
    return not counts[(patterns != low) & (patterns != extended)].any()


def _signed(layout: Layout, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read unsigned patterns of ``stored`` bits as two's complement, if that is what they are."""
    if not layout.signed:
        return values
    return np.where(values >> (layout.stored - 1), values - (1 << layout.stored), values)
