"""HL7 v2 messages: the reports in an ORU^R01 (HL7 v2.5.1 chapter 7; IHE RAD-28, RAD-128)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING

import hl7

from dicom_node.dicom.uids import is_uid
from dicom_node.verdicts.hl7_segments import read_segments

if TYPE_CHECKING:
    from dicom_node.verdicts.hl7_segments import Segment

_TEXT = frozenset({"TX", "FT", "ST"})
_CODED = frozenset({"CE", "CWE", "CNE", "CF"})
_MOST_CODES = 100  # of one OBX that are read; a report has a few
_REFERENCE = frozenset({"RP", "HD", "UI", "ST", "EI"})
_FINAL_LINES = frozenset({"", "F", "C"})  # OBX-11
#: OBX-3 -> heading: suffixes of HL7 v2.5.1 7.1.1 and LOINC codes of sections.
_TITLES = {
    "IMP": "Impression", "GDT": "Findings", "CNP": "Impression", "REC": "Recommendation",
    "19005-8": "Impression", "59776-5": "Findings", "18782-3": "Findings", "18785-6": "Indication",
    "11329-0": "History", "55111-9": "Technique", "18834-2": "Comparison",
    "18783-0": "Recommendation",
}  # fmt: skip
#: Segment -> its field with the Study Instance UID: IHE RAD-4 of HL7 v2.3.1 and of v2.5.1.
_STUDY_FIELD = {"ZDS": 1, "IPC": 3}
_STUDY_CODES = frozenset({"113014", "110180"})  # DCM: DICOM Study, Study Instance UID


class Fault(Enum):
    """Why a message is not taken: a code of HL7 table 0357 and its text."""

    SEGMENTS = ("100", "Segment sequence error")
    MISSING = ("101", "Required field missing")
    MESSAGE_TYPE = ("200", "Unsupported message type")
    EVENT = ("201", "Unsupported event code")
    PROCESSING = ("202", "Unsupported processing id")
    VERSION = ("203", "Unsupported version id")
    UNKNOWN_KEY = ("204", "Unknown key identifier")
    DUPLICATE_KEY = ("205", "Duplicate key identifier")
    LOCKED = ("206", "Application record locked")
    INTERNAL = ("207", "Application internal error")


class MessageRefused(Exception):
    """A message that is not taken."""

    def __init__(self, fault: Fault, header: Header | None = None) -> None:
        super().__init__(fault.value[1])
        self.fault = fault
        self.header = header


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """MSH: who sent which message."""

    sender: tuple[str, str]  # application, facility
    receiver: tuple[str, str]
    sent_at: datetime | None
    kind: str  # such as ORU
    event: str  # such as R01
    control_id: str
    processing: str  # P: in production
    version: str


@dataclass(slots=True, kw_only=True)
class Order:
    """The report on one order: OBR and the OBX after it."""

    numbers: tuple[str, ...]  # OBR-18, 3, 2: one of them is the accession number
    status: str  # OBR-25
    given_at: datetime | None
    reader: str  # OBR-32: number, or else name, of the one who interpreted
    study_instance_uid: str = ""
    sections: list[tuple[str, str]] = field(default_factory=list)  # name and text of each OBX
    codes: list[tuple[str, str]] = field(default_factory=list)  # coding system and code


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message and the orders in it."""

    header: Header
    orders: tuple[Order, ...]


def split_messages(content: bytes) -> list[bytes]:
    """The messages of a file, with or without the frames of MLLP or the headers of a batch."""
    lines = re.split(rb"[\r\n\x0b\x1c]+", content.removeprefix(b"\xef\xbb\xbf"))
    messages: list[list[bytes]] = []
    for line in lines:
        if line.startswith(b"MSH"):
            messages.append([])
        if messages and line[:3] not in (b"BHS", b"BTS", b"FHS", b"FTS"):
            messages[-1].append(line)
    return [b"\r".join(each) for each in messages]


def is_hl7(content: bytes) -> bool:
    """Whether the beginning of a file looks like HL7 v2."""
    return content.lstrip(b"\xef\xbb\xbf\x0b\r\n ")[:3] in (b"MSH", b"BHS", b"FHS")


def read_message(content: bytes) -> Message:
    """Read a message.

    Raises
    ------
    MessageRefused
        It is broken, or no ORU^R01 in use; with the header if there is one.
    """
    try:
        segments = read_segments(content)
    except ValueError as error:
        raise MessageRefused(Fault.SEGMENTS) from error
    header = _header(segments[0])
    _check(header)
    return Message(header=header, orders=tuple(_orders(segments, header)))


def _header(segment: Segment) -> Header:
    def pair(first: int) -> tuple[str, str]:
        return segment.value(first), segment.value(first + 1)

    return Header(
        sender=pair(3), receiver=pair(5), sent_at=_time(segment.value(7)),
        kind=segment.value(9), event=segment.value(9, 2), control_id=segment.value(10),
        processing=segment.value(11), version=segment.value(12),
    )  # fmt: skip


def _check(header: Header) -> None:
    if header.kind != "ORU":
        raise MessageRefused(Fault.MESSAGE_TYPE, header)
    if header.event not in ("R01", ""):
        raise MessageRefused(Fault.EVENT, header)
    if header.processing not in ("P", ""):  # of a test or a training system
        raise MessageRefused(Fault.PROCESSING, header)
    if not header.version.startswith("2"):
        raise MessageRefused(Fault.VERSION, header)
    if not header.control_id:
        raise MessageRefused(Fault.MISSING, header)


def _orders(segments: list[Segment], header: Header) -> list[Order]:
    """The orders; what is in several OBR of one study and status is one report."""
    orders: list[Order] = []
    for segment in segments:
        if segment.name == "OBR":
            orders.append(_order(segment, header))
        elif orders and segment.name == "OBX":
            _observe(segment, orders[-1])
        elif orders and segment.name in _STUDY_FIELD:
            uid = _uid(segment.value(_STUDY_FIELD[segment.name]))
            orders[-1].study_instance_uid = orders[-1].study_instance_uid or uid
    if not orders:
        raise MessageRefused(Fault.SEGMENTS, header)
    merged: dict[tuple[object, ...], Order] = {}
    for order in orders:
        key = order.study_instance_uid, order.numbers, order.status
        if (first := merged.setdefault(key, order)) is not order:
            first.sections += order.sections
            first.codes += order.codes
    return list(merged.values())


def _order(segment: Segment, header: Header) -> Order:
    numbers = (segment.value(each) for each in (18, 3, 2))
    reader = segment.value(32, part=1) or segment.value(32, part=2)
    return Order(
        numbers=tuple(dict.fromkeys(each for each in numbers if each)),
        status=segment.value(25),
        given_at=_time(segment.value(22)) or header.sent_at,
        reader=reader,
    )


def _observe(segment: Segment, order: Order) -> None:
    """Take the study, a code or text from an OBX."""
    kind = segment.value(2)
    names = {segment.value(3, each).casefold() for each in (1, 2)}
    if kind in _REFERENCE and (names & _STUDY_CODES or "study instance uid" in names):
        order.study_instance_uid = _uid(segment.value(5)) or order.study_instance_uid
        return
    if segment.value(11) not in _FINAL_LINES:
        return
    ids = (segment.value(3, part=part) for part in (1, 2))
    title = next((_TITLES[each] for each in ids if each in _TITLES), segment.value(3, 2))
    if kind in _TEXT:
        order.sections.append((title, segment.text(5)))
    elif kind in _CODED:
        for number in range(1, min(len(segment.repetitions(5)), _MOST_CODES) + 1):
            for first in (1, 4):
                code = segment.value(5, first, repetition=number)
                order.codes.append((segment.value(5, first + 2, repetition=number), code))
            order.sections.append((title, segment.value(5, 2, repetition=number)))


def _uid(text: str) -> str:
    return text if is_uid(text) else ""


def _time(text: str) -> datetime | None:
    """A time stamp (HL7 v2.5.1 2.A.75); without an offset it is this machine's local time."""
    try:
        found = hl7.parse_datetime(text)
        return found.astimezone(UTC) if found else None
    except (ValueError, OverflowError, OSError):
        return None
