"""Decode the Pixel Data of one film to stored values, with the fastest decoder available."""

from __future__ import annotations

from typing import Any, TypeAlias

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

from dicom_node.dicom.header import number, text
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.domain.values import RefusalCode
from dicom_node.errors import UnreadablePixels
from dicom_node.pixels.grayscale import Counts, Table
from dicom_node.pixels.kinds import refuse_colour, refuse_frames
from dicom_node.pixels.sandbox import SANDBOX, DecoderDied, Sandbox

#: Stored values as unsigned bit patterns, (rows, columns).
Stored: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

#: Rows x columns beyond this are refused before anything is allocated; the largest detector in
#: use has some 20 million pixels.
MOST_PIXELS = 100_000_000

# Transfer syntax -> the decoder to try first: the fastest, measured at 2500 x 2048, 12 bit. The
# others are tried if it fails.
QUICKEST: dict[str, str] = {
    RLELossless: "pylibjpeg",  # 22 ms; pydicom's own 280
    JPEGBaseline8Bit: "pillow",  # 29 ms; gdcm 104
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


def refuse_unreadable_kinds(ds: Dataset) -> None:
    """Raise UnreadablePixels for anything but one grey image, before anything is allocated."""
    if refusal := refuse_colour(ds) or refuse_frames(ds):
        raise UnreadablePixels(refusal.code, refusal.reason)
    rows, columns = number(ds, "Rows", 0), number(ds, "Columns", 0)
    if rows * columns > MOST_PIXELS:
        reason = f"{rows:g} x {columns:g} pixels exceed any detector"
        raise UnreadablePixels(RefusalCode.SIZE, reason)
    if not ds.get("PixelData") or not rows or not columns:
        raise UnreadablePixels(RefusalCode.UNREADABLE, "the object has no pixels")
    if (allocated := number(ds, "BitsAllocated", 0)) not in (8, 16):
        reason = f"Bits Allocated is {allocated:g}; a film has 8 or 16"
        raise UnreadablePixels(RefusalCode.UNREADABLE, reason)


class _PanicIsAnError:
    """Turn a panic of pylibjpeg-rle, which is written in Rust, into a RuntimeError.

    Some truncated streams cause one; it is a BaseException and would end the process.
    """

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, panic: object, trace: object) -> None:
        if kind is not None and kind.__name__ == "PanicException":
            raise RuntimeError(f"the decoder panicked: {panic}")


def decode(ds: Dataset) -> tuple[Stored, str]:
    """Decode one film.

    Compressed pixels are decoded in a child process, see `dicom_node.pixels.decoder_process`.

    Returns
    -------
    stored : array (rows, columns) of uint8 or uint16
        Stored values as unsigned bit patterns.
    decoder : str
        Name of the decoder used; "none" for native pixels.

    Raises
    ------
    UnreadablePixels
        No decoder can read the pixels.
    """
    syntax = UID(text(ds.file_meta, "TransferSyntaxUID"), validation_mode=IGNORE)
    failure: Exception | None = None
    for plugin in plugins_of(syntax):
        try:
            if plugin:
                return decode_in_child(ds, syntax, plugin, SANDBOX), plugin
            return decode_with(ds, syntax, plugin), "none"
        except DecoderDied as error:
            reason = f"the decoder died on the pixels ({syntax.name[:50]}: {error})"
            raise UnreadablePixels(RefusalCode.UNREADABLE, reason) from error
        except (*MALFORMED, OSError) as error:
            failure = error
    reason = f"the pixels do not decode ({syntax.name[:80]})"
    raise UnreadablePixels(RefusalCode.UNREADABLE, reason) from failure


def decode_in_child(ds: Dataset, syntax: UID, plugin: str, sandbox: Sandbox) -> Stored:
    """Decode in the sandbox's process.

    Raises
    ------
    DecoderDied
        The process crashed or took too long.
    ValueError
        The pixels do not decode, or to another number of pixels.
    """
    rows, columns, allocated = (
        int(number(ds, name, 0)) for name in ("Rows", "Columns", "BitsAllocated")
    )
    elements = {
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": allocated,
        "BitsStored": bits_stored(ds),
        "HighBit": bits_stored(ds) - 1,
        "PixelRepresentation": int(signed(ds)),
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
    }
    request = {"elements": elements, "syntax": str(syntax), "plugin": plugin}
    pixels = sandbox.ask(request, ds.PixelData)
    size = rows, columns  # reshape raises ValueError if the number of pixels differs
    if allocated == 8:
        return np.frombuffer(pixels, np.uint8).reshape(size)
    return np.frombuffer(pixels, np.uint16).reshape(size)


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
    with _PanicIsAnError():
        return _decoded(ds, syntax, plugin)


def _decoded(ds: Dataset, syntax: UID, plugin: str) -> Stored:
    allocated = int(number(ds, "BitsAllocated", 16))
    options: dict[str, Any] = {
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",  # inversion is our step 4
        "bits_stored": bits_stored(ds),
        "pixel_representation": int(signed(ds)),
        "number_of_frames": 1,
        "correct_unused_bits": False,  # `meaning` does so, with regard to High Bit
        "view_only": True,
    }
    values, _ = get_decoder(syntax).as_array(
        ds, index=0, raw=True, decoding_plugin=plugin, **options
    )
    size = int(number(ds, "Rows", 0)), int(number(ds, "Columns", 0))
    if values.shape != size or values.dtype.kind not in "iu" or values.dtype.itemsize > 2:
        raise ValueError(f"decoded to {values.shape} {values.dtype}, expected {size}")
    wide = values.astype(f"i{allocated // 8}" if signed(ds) else f"u{allocated // 8}", copy=False)
    native = wide.astype(wide.dtype.newbyteorder("="), copy=False)
    return np.ascontiguousarray(native).view(f"u{allocated // 8}")


def meaning(ds: Dataset, counts: Counts) -> Table:
    """Value of each bit pattern, by Bits Stored, High Bit and Pixel Representation.

    A High Bit above Bits Stored - 1 says the value stands further up; it is believed where the
    bits below are empty, since many writers set it to 15 whatever they do.
    """
    patterns = np.arange(counts.size, dtype=np.int64)
    bits = bits_stored(ds)
    shift = int(number(ds, "HighBit", bits - 1)) - bits + 1
    fits = shift > 0 and bits + shift <= number(ds, "BitsAllocated", 16)
    if fits and not counts[(patterns & ((1 << shift) - 1)) != 0].any():
        patterns >>= shift
    values = patterns & ((1 << bits) - 1)
    if signed(ds):
        values = np.where(values >= 1 << (bits - 1), values - (1 << bits), values)
    return values.astype(np.float64)


def bits_stored(ds: Dataset) -> int:
    """Bits Stored if it is plausible, else Bits Allocated."""
    allocated = int(number(ds, "BitsAllocated", 16))
    bits = int(number(ds, "BitsStored", allocated))
    return bits if 1 <= bits <= allocated else allocated


def signed(ds: Dataset) -> bool:
    """Whether the stored values are two's complement."""
    return number(ds, "PixelRepresentation", 0) == 1
