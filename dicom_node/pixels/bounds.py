"""Bounds on a file before it is parsed: pydicom makes an object of every element and item.

Reception looks no further than Pixel Data and steps over sequences of defined length; a few bytes
each there would become gigabytes of objects here.
"""

from __future__ import annotations

import mmap
import resource
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.uid import UID, ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_node.dicom.malformed import is_signs
from dicom_node.domain.values import RefusalCode
from dicom_node.errors import NotAFrontalChestFilm

#: Elements and items, at all depths; a film has some hundreds.
MAX_ELEMENTS = 50_000
#: Bytes of a file, and of a deflated data set inflated: a film of 100 million pixels has 200 MB.
MAX_BYTES = 256 * 2**20
#: Bytes of memory that parsing one file may take beyond what the process has.
MEMORY = 2**30

_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # PS3.5 table 7.1-1
_UNDEFINED = 0xFFFFFFFF
_ITEM, _DELIMITER_GROUP = 0xFFFEE000, 0xFFFE
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_SIGNS = b"ST"  # as what signs in place of a VR are read: bytes with a length of 16 bits
_CHUNK = 1 << 20  # bytes
_ENDLESS = 1 << 62


def refuse(reason: str) -> NotAFrontalChestFilm:
    """The error for a file beyond a bound."""
    return NotAFrontalChestFilm(RefusalCode.FILE, reason)


@contextmanager
def opened(path: Path) -> Iterator[mmap.mmap | bytes]:
    """Map a file into memory; raises NotAFrontalChestFilm if it is larger than `MAX_BYTES`."""
    with path.open("rb") as file:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise refuse(f"the file has {size >> 20} MiB, more than any film")
        if not size:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def file_meta(content: mmap.mmap | bytes) -> tuple[UID, int]:
    """Transfer Syntax UID by the File Meta Information (PS3.10 7.1), and where the data set begins.

    The UID is empty, and the data set begins at 0 or 132, if there is no such information. If there
    are two, the first counts.
    """
    at = 132 if content[128:132] == b"DICM" else 0
    syntax = ""
    while content[at : at + 2] == b"\x02\x00" and content[at + 4 : at + 6].isalpha():
        long = content[at + 4 : at + 6] in _LONG
        head, size = (12, "<I") if long else (8, "<H")
        if len(content) < at + head:
            break
        length = struct.unpack_from(size, content, at + (8 if long else 6))[0]
        if content[at : at + 4] == b"\x02\x00\x10\x00" and not syntax:
            syntax = bytes(content[at + head : at + head + length]).decode("ascii", "replace")
        at += head + length
    return UID(syntax.strip("\0 "), validation_mode=IGNORE), at


def inflate(content: mmap.mmap | bytes, at: int) -> bytes:
    """Inflate a deflated data set (PS3.5 A.5).

    Raises
    ------
    NotAFrontalChestFilm
        It has more than `MAX_BYTES`.
    zlib.error
        It is damaged.
    """
    if sum(map(len, _inflated(content, at))) > MAX_BYTES:  # counted before any of it is kept
        raise refuse("the deflated data set is larger than any film")
    return b"".join(_inflated(content, at))


def _inflated(content: mmap.mmap | bytes, at: int) -> Iterator[bytes]:
    """Yield pieces, to the end of the stream or somewhat beyond `MAX_BYTES`."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    waiting, size = bytes(content[at:]), 0
    while waiting and not inflater.eof and size <= MAX_BYTES:
        piece = inflater.decompress(waiting, _CHUNK)
        waiting, size = inflater.unconsumed_tail, size + len(piece)
        yield piece
    yield inflater.flush() if size <= MAX_BYTES else b""


def check_elements(content: mmap.mmap | bytes, at: int, syntax: UID) -> list[int]:
    """Walk over every element and item of a data set, also within sequences of defined length.

    The walk ends where the structure does; what pydicom makes of the rest, `limited_memory` bounds.

    Returns
    -------
    Where there are signs in place of a VR, such as ``--``, which pydicom takes for a length.

    Raises
    ------
    NotAFrontalChestFilm
        There are more than `MAX_ELEMENTS`.
    """
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    implicit = syntax == ImplicitVRLittleEndian and not content[at + 4 : at + 6].isalpha()
    implicit |= not syntax and not content[at + 4 : at + 6].isalpha()
    walk = _Walk(content, order, implicit=implicit)
    for _ in range(MAX_ELEMENTS):
        at = walk.step(at)
        if at < 0:
            return walk.signs
    raise refuse(f"the file has more than {MAX_ELEMENTS} elements")


class _Walk:
    """A position among nested elements and items: where each level ends, and what it holds."""

    def __init__(self, content: mmap.mmap | bytes, order: str, *, implicit: bool) -> None:
        self._content, self._order = content, order
        self.signs: list[int] = []
        # end of the level, whether it holds items, whether these hold elements, implicit VR
        self._levels: list[tuple[int, bool, bool, bool]] = [(_ENDLESS, False, True, implicit)]

    def step(self, at: int) -> int:
        """Take one element or item at a position; return the next, -1 at the end."""
        while at >= self._levels[-1][0]:
            self._levels.pop()
        if at + 8 > len(self._content):
            return -1
        group, element, length = struct.unpack_from(f"{self._order}HHI", self._content, at)
        _, items, nested, implicit = self._levels[-1]
        if group == _DELIMITER_GROUP:
            if element == _ITEM & 0xFFFF:
                return self._item(at + 8, length, nested=nested, implicit=implicit)
            if len(self._levels) == 1:
                return -1
            self._levels.pop()
            return at + 8
        if items:
            return -1
        return self._element(at, group << 16 | element, length, implicit=implicit)

    def _item(self, at: int, length: int, *, nested: bool, implicit: bool) -> int:
        if not nested:  # a fragment of pixels
            return at + length
        self._levels.append((_end(at, length), False, True, implicit))
        return at

    def _element(self, at: int, tag: int, length: int, *, implicit: bool) -> int:
        vr = self._content[at + 4 : at + 6]
        if not implicit and is_signs(self._content[at + 4 : at + 8]):
            self.signs.append(at + 4)
            vr = _SIGNS
        implicit |= not (vr.isalpha() and vr.isupper())
        at += 8
        if implicit:
            vr = _vr(tag)
        elif vr in _LONG:
            if at + 4 > len(self._content):
                return -1
            length = struct.unpack_from(f"{self._order}I", self._content, at)[0]
            at += 4
        else:
            length = struct.unpack_from(f"{self._order}H", self._content, at - 2)[0]
        within = implicit or vr == b"UN"  # PS3.5 6.2.2: implicit within UN
        vr = _vr(tag) if vr == b"UN" else vr
        if length == _UNDEFINED or vr == b"SQ":
            self._levels.append((_end(at, length), True, tag not in _PIXELS, within))
            return at
        return at + length


def _end(at: int, length: int) -> int:
    return _ENDLESS if length == _UNDEFINED else at + length


def _vr(tag: int) -> bytes:
    try:
        return dictionary_VR(tag).encode()
    except KeyError:
        return b""


def with_vrs(content: mmap.mmap | bytes, signs: list[int]) -> bytes:
    """The file, with a VR where `check_elements` found signs."""
    repaired = bytearray(content[:])
    for at in signs:
        repaired[at : at + 2] = _SIGNS
    return bytes(repaired)


@contextmanager
def limited_memory(extra: int = MEMORY) -> Iterator[None]:
    """Let this process take so many more bytes; beyond them Python raises MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + extra
    bounds = [value for value in (soft, hard) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([limit, *bounds]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
