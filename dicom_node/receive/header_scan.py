"""Find the few elements that reception needs, without decoding, in bounded time and memory.

The encoded data set (PS3.5 7.1) is scanned forward: values are skipped, not read, and nesting is
kept in a list, not on the call stack. A wrong VR or an odd value is tolerated; an element that
claims more bytes than arrived is an error.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.dicom.malformed import is_signs
from dicom_node.receive.byte_source import FileSource, InflatedSource, Source
from dicom_node.receive.store_status import StoreFault, StoreRefused

if TYPE_CHECKING:
    from pathlib import Path

MAX_DEPTH = 64  # sequences within sequences; real reports stay below 20
MAX_ELEMENTS = 500_000  # scanned in half a second
MAX_VALUE = 1024  # bytes; a longer value of a wanted element counts as absent

# Explicit VRs with a 16-bit length, PS3.5 Table 7.1-2. Every other VR, one of a later edition of
# the standard too, has a 32-bit length after two reserved bytes (PS3.5 7.1.2).
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_UNDEFINED = 0xFFFFFFFF  # PS3.5 7.1.3
# PS3.5 7.5
_DELIMITER_GROUP, _ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_PIXEL_DATA = 0x7FE00010
# tag -> field of Header, PS3.6
_WANTED = {
    0x00080016: "sop_class_uid",
    0x00080018: "sop_instance_uid",
    0x00080050: "accession",
    0x00100020: "patient_id",
    0x00100021: "patient_id_issuer",
    0x00100030: "birth_date",
    0x0020000D: "study_instance_uid",
    0x0020000E: "series_instance_uid",
    0x00280002: "samples_per_pixel",
    0x00280004: "photometric",
    0x00280008: "frames",
    0x00280010: "rows",
    0x00280011: "columns",
    0x00280100: "bits_allocated",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The top-level elements that reception uses; empty or None if absent."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    patient_id: str = field(default="", repr=False)
    patient_id_issuer: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    accession: str = field(default="", repr=False)
    photometric: str = ""
    priority: str = ""
    samples_per_pixel: int | None = None
    frames: int | None = None
    rows: int | None = None
    columns: int | None = None
    bits_allocated: int | None = None
    pixel_bytes: int | None = None  # None: no Pixel Data; of all fragments where encapsulated
    encapsulated: bool = False


_NUMBERS = {"samples_per_pixel", "frames", "rows", "columns", "bits_allocated"}
_DIGITS = {"frames"}  # VR IS; the other numbers are US


def read_header(
    path: Path, offset: int, transfer_syntax_uid: str, priority_tag: int | None = None
) -> Header:
    """Scan the data set that begins ``offset`` bytes into the file.

    ``priority_tag`` names the element that becomes ``Header.priority``.

    Raises
    ------
    StoreRefused
        The data set does not parse, ends too early, or exceeds a limit.
    """
    with path.open("rb") as file:
        file.seek(offset)
        deflated = transfer_syntax_uid == DeflatedExplicitVRLittleEndian
        source: Source = InflatedSource(file) if deflated else FileSource(file)
        implicit = transfer_syntax_uid == ImplicitVRLittleEndian
        wanted = frozenset(_WANTED) | {priority_tag}
        scan = _Scan(source, wanted, implicit=implicit and not _looks_explicit(source))
        scan.run()
    fields: dict[str, Any] = {
        _WANTED[tag]: _value(_WANTED[tag], value)
        for tag, value in scan.values.items()
        if tag in _WANTED
    }
    if priority_tag in scan.values:
        fields["priority"] = _value("priority", scan.values[priority_tag])
    return Header(pixel_bytes=scan.pixel_bytes, encapsulated=scan.encapsulated, **fields)


def _looks_explicit(source: Source) -> bool:
    """Whether the first element has a VR although Implicit VR was negotiated, as some senders do.

    Read as an implicit length, two capital letters would mean a first value above 16 kB.
    """
    vr = source.peek(6)[4:]
    return len(vr) == 2 and vr.isalpha() and vr.isupper()


def _value(name: str, value: bytes) -> str | int | None:
    if name not in _NUMBERS:
        return value.decode("latin-1").strip("\0 ")
    if len(value) == 2 and name not in _DIGITS:
        return int.from_bytes(value, "little")
    return _digits(value)


def _digits(value: bytes) -> int | None:
    """Parse a number written in digits: VR IS, or another element with a wrong VR."""
    text = value.strip(b"\0 ")
    return int(text) if text.isdigit() and len(text) < 10 else None


@dataclass(frozen=True, slots=True)
class _Level:
    """One nesting level: the elements of a data set, or the items of a sequence."""

    sequence: bool
    implicit: bool


class _Scan:
    def __init__(self, source: Source, wanted: frozenset[int | None], *, implicit: bool) -> None:
        self._wanted = wanted
        self.values: dict[int, bytes] = {}
        self.pixel_bytes: int | None = None
        self.encapsulated = False
        self._source = source
        self._levels = [_Level(sequence=False, implicit=implicit)]

    def run(self) -> None:
        for _ in range(MAX_ELEMENTS):
            if not self._step():
                return
        raise StoreRefused(StoreFault.BOUNDS, f"more than {MAX_ELEMENTS} elements")

    def _step(self) -> bool:
        """Scan one element; False at the end. What follows the Pixel Data is ignored."""
        at_top = len(self._levels) == 1
        if at_top and self.pixel_bytes is not None:
            return False
        head = self._source.take(8)
        if at_top and not head:
            return False
        if len(head) < 8:
            raise StoreRefused(StoreFault.TRUNCATED, "the data set ends within an element")
        group, element, length = struct.unpack("<HHI", head)
        if group == _DELIMITER_GROUP:
            self._delimiter(group << 16 | element, length)
        else:
            self._element(group << 16 | element, head)
        return True

    def _delimiter(self, tag: int, length: int) -> None:
        level = self._levels[-1]
        if tag == _ITEM and level.sequence:
            self._item(length)
        elif len(self._levels) > 1 and tag == (_SEQUENCE_END if level.sequence else _ITEM_END):
            self._levels.pop()
        elif not (tag == _ITEM_END and level.sequence):  # behind an item of defined length: idle
            raise StoreRefused(StoreFault.UNPARSABLE, "an item or delimiter in the wrong place")

    def _item(self, length: int) -> None:
        if length == _UNDEFINED:
            self._open(sequence=False, implicit=self._levels[-1].implicit)
            return
        self._source.skip(length)
        if self.encapsulated:
            self.pixel_bytes = (self.pixel_bytes or 0) + length

    def _element(self, tag: int, head: bytes) -> None:
        level, at_top = self._levels[-1], len(self._levels) == 1
        if level.sequence:
            raise StoreRefused(StoreFault.UNPARSABLE, "an element where an item should be")
        vr, length = self._length(level, head)
        if at_top and tag == _PIXEL_DATA:
            self.encapsulated = length == _UNDEFINED
            self.pixel_bytes = 0 if self.encapsulated else length
        if length == _UNDEFINED:
            # Within UN everything is implicit, whatever was negotiated (PS3.5 6.2.2)
            self._open(sequence=True, implicit=level.implicit or vr == b"UN")
        elif at_top and tag in self._wanted and length <= MAX_VALUE:
            self._value(tag, length)
        else:
            self._source.skip(length)

    def _length(self, level: _Level, head: bytes) -> tuple[bytes, int]:
        """VR (empty if the element is implicit) and value length of an element."""
        vr = head[4:6]
        if not level.implicit and is_signs(head[4:]):
            return vr, int.from_bytes(head[6:], "little")
        if level.implicit or not (vr.isalpha() and vr.isupper()):
            return b"", int.from_bytes(head[4:], "little")
        if vr in _SHORT_VRS or any(head[6:]):  # the reserved bytes are zero
            return vr, int.from_bytes(head[6:], "little")
        length = self._source.take(4)
        if len(length) < 4:
            raise StoreRefused(StoreFault.TRUNCATED, "the data set ends within an element")
        return vr, int.from_bytes(length, "little")

    def _value(self, tag: int, length: int) -> None:
        value = self._source.take(length)
        if len(value) < length:
            raise StoreRefused(StoreFault.TRUNCATED, "the data set ends within a value")
        self.values.setdefault(tag, value)

    def _open(self, *, sequence: bool, implicit: bool) -> None:
        if len(self._levels) > 2 * MAX_DEPTH:
            raise StoreRefused(StoreFault.BOUNDS, f"nested more than {MAX_DEPTH} deep")
        self._levels.append(_Level(sequence=sequence, implicit=implicit))
