"""What the compressed stream itself says about its image; the header of the object may be wrong."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

if TYPE_CHECKING:
    from pydicom.uid import UID

_ITEM = b"\xfe\xff\x00\xe0"  # PS3.5 A.4
# JPEG and JPEG-LS frame headers: ISO/IEC 10918-1 table B.1, ISO/IEC 14495-1 C.2.2
_JPEG_LS = 0xF7
_FRAMES = frozenset({*range(0xC0, 0xD0), _JPEG_LS} - {0xC4, 0xC8, 0xCC})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_STREAMS = {*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes}
_WAVELETS = {JPEG2000, JPEG2000Lossless, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL}
#: Transfer syntaxes whose streams are read here.
COMPRESSED = frozenset({*_STREAMS, *_WAVELETS, RLELossless})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The image in a compressed stream. None: the stream does not say."""

    components: int
    rows: int | None = None
    columns: int | None = None
    precision: int | None = None  # bits of a sample
    signed: bool | None = None
    whole_words: bool = False  # ``precision`` may be that of the words that were coded


def fragments(encapsulated: bytes) -> tuple[list[bytes], bool]:
    """Split encapsulated Pixel Data into its fragments, without the Basic Offset Table.

    Returns
    -------
    fragments : list of bytes
    whole : bool
        False if the last fragment is cut off. A missing closing delimiter is no loss.
    """
    found: list[bytes] = []
    at = 0
    while encapsulated[at : at + 4] == _ITEM and at + 8 <= len(encapsulated):
        length = int.from_bytes(encapsulated[at + 4 : at + 8], "little")
        at += 8
        found.append(encapsulated[at : at + length])
        if at + length > len(encapsulated):
            return found[1:], False
        at += length
    return found[1:], True


def end_of_fragments(encapsulated: bytes) -> int:
    """Where the last whole or cut fragment ends; what follows is no fragment."""
    at = 0
    while encapsulated[at : at + 4] == _ITEM and at + 8 <= len(encapsulated):
        at += 8 + int.from_bytes(encapsulated[at + 4 : at + 8], "little")
    return at


def facts(stream: bytes, syntax: UID) -> Facts | None:
    """Read the frame header of a compressed stream; None if it has none that can be read."""
    try:
        if syntax == RLELossless:
            return _rle(stream)
        if syntax in _WAVELETS:
            return _jpeg_2000(stream)
        return _jpeg(stream) if syntax in _STREAMS else None
    except (IndexError, struct.error):
        return None


def _jpeg(stream: bytes) -> Facts | None:
    at = 2
    while stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker in _FRAMES:
            precision, rows, columns, components = struct.unpack_from(">BHHB", stream, at + 4)
            # zero rows: a later marker says how many (DNL)
            return Facts(
                components=components,
                rows=rows or None,
                columns=columns,
                precision=precision,
                whole_words=marker != _JPEG_LS,
            )
        at += 1 if marker == 0xFF else 2
        if marker not in _ALONE and marker != 0xFF:
            at += int.from_bytes(stream[at : at + 2], "big")
    return None


def _jpeg_2000(stream: bytes) -> Facts | None:
    """The SIZ segment, ISO/IEC 15444-1 A.5.1; a JP2 file wraps the codestream in boxes."""
    at = 0 if stream[:4] == b"\xff\x4f\xff\x51" else stream.find(b"\xff\x4f\xff\x51", 0, 4096)
    if at < 0:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", stream, at + 8)
    components, depth, across, down = struct.unpack_from(">HBBB", stream, at + 40)
    if (across, down) != (1, 1):
        return None
    return Facts(
        components=components,
        rows=bottom - top,
        columns=right - left,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
    )


def _rle(stream: bytes) -> Facts | None:
    """The number of segments, PS3.5 G.5: a grey image has one for each byte of a pixel."""
    segments = struct.unpack_from("<I", stream)[0]
    if segments in (1, 2):
        return Facts(components=1, precision=8 * segments, whole_words=True)
    return Facts(components=3) if segments in (3, 6) else None
