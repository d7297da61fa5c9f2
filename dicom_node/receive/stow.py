"""One STOW-RS request (PS3.18 10.5): its parts go to the spool while they arrive.

Memory holds one piece of the request at a time, and of each object its File Meta Information. Every
object passes the checks, limits and records of `Keeping`, as by C-STORE.
"""

from __future__ import annotations

import logging
import struct
import uuid
from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from dicom_node.receive.arrival import Arrival
from dicom_node.receive.contexts import STORED
from dicom_node.receive.keeping import loggable
from dicom_node.receive.store_status import STATUS, StoreFault, StoreRefused

if TYPE_CHECKING:
    from dicom_node.receive.associations import Link
    from dicom_node.receive.keeping import Keeping

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a line for each malformed request

_LARGEST_META = 1 << 16  # bytes; File Meta Information takes about 300
_PREAMBLE = 132  # bytes: preamble and prefix (PS3.10 7.1)
_GROUP = b"\x02\x00"
_CLASS, _INSTANCE, _SYNTAX = 0x0002, 0x0003, 0x0010  # elements of the group
# PS3.5 7.1.2: group, element, VR, 16-bit length; after these VRs 32 bits follow instead
_ELEMENT = struct.Struct("<2sH2sH")
_LONG_VRS = (b"OB", b"UN", b"SQ", b"UT", b"UC", b"UR", b"OW", b"OD", b"OF", b"OL", b"OV")
_MOST_PARTS = 10_000
_DICOM = "application/dicom"

# PS3.18 Table 10.5.3-1
ALL_STORED, SOME_STORED, BAD_REQUEST, NONE_STORED = 200, 202, 400, 409
TOO_LARGE, WRONG_TYPE, BUSY = 413, 415, 503
_LATER = (StoreFault.RESOURCES, StoreFault.QUOTA)


class BadRequest(Exception):
    """The request as a whole cannot be understood; ``status`` is that of HTTP."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(slots=True)
class _Part:
    """One object on its way."""

    head: bytearray = field(default_factory=bytearray)  # until its File Meta Information is whole
    arrival: Arrival | None = None
    refusal: StoreRefused | None = None
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


class StowRequest:
    """Takes the body of a request piece by piece.

    Parameters
    ----------
    content_type
        Of the request; names the boundary.
    study_instance_uid
        The study that the URL names, if it does.

    Raises
    ------
    BadRequest
        The body is not multipart/related with parts of type application/dicom.
    """

    def __init__(
        self, keeping: Keeping, link: Link, content_type: str, study_instance_uid: str | None
    ) -> None:
        self._keeping = keeping
        self._link = link
        self._study = study_instance_uid
        self._guard = keeping.guard(link)
        self._part: _Part | None = None
        self._parts = 0
        self._ended = False
        self.stored: list[_Part] = []
        self.failed: list[_Part] = []
        self._parser = MultipartParser(
            _boundary(content_type),
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )

    def write(self, piece: bytes) -> None:
        """Take a piece of the body; raises BadRequest if it is malformed."""
        try:
            self._parser.write(piece)
        except FormParserError:  # its text quotes the request
            raise BadRequest(BAD_REQUEST, "the body is not multipart") from None

    def answer(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and DICOM JSON of the response (PS3.18 10.5.3), after the whole body.

        Raises
        ------
        BadRequest
            The body ended too early, or had no part.
        """
        if not self._ended:
            raise BadRequest(BAD_REQUEST, "the body ends too early")
        if not self.stored and not self.failed:
            raise BadRequest(BAD_REQUEST, "the body has no part")
        said = Dataset()
        if self.stored:
            said.ReferencedSOPSequence = [_reference(part) for part in self.stored]
        if self.failed:
            said.FailedSOPSequence = [_reference(part) for part in self.failed]
        return self._status(), said.to_json_dict()

    def discard(self) -> None:
        """Remove an object that did not arrive whole."""
        if self._part is not None and self._part.arrival is not None:
            self._part.arrival.discard()
        self._part = None

    def _status(self) -> int:
        if not self.failed:
            return ALL_STORED
        if self.stored:
            return SOME_STORED
        faults = {part.refusal.fault for part in self.failed if part.refusal is not None}
        if faults <= set(_LATER):
            return BUSY
        return TOO_LARGE if faults == {StoreFault.BOUNDS} else NONE_STORED

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise BadRequest(TOO_LARGE, "the request has too many parts")
        self._part = _Part()

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part is None or part.refusal is not None:
            return
        if part.arrival is not None:
            part.arrival.write(memoryview(data)[start:end])
            return
        part.head += data[start:end]
        try:
            self._open(part)
        except StoreRefused as refusal:
            part.refusal = refusal
            part.head.clear()

    def _open(self, part: _Part) -> None:
        """Open a file in the spool once the File Meta Information is whole."""
        meta = _meta(part.head)
        if meta is None:
            return
        end, uids = meta
        part.sop_class_uid, part.sop_instance_uid = uids[_CLASS], uids[_INSTANCE]
        syntax = uids[_SYNTAX]
        if part.sop_class_uid in STORED and syntax not in _syntaxes(part.sop_class_uid):
            raise StoreRefused(StoreFault.SOP_CLASS, "transfer syntax not supported")
        part.arrival = Arrival(
            self._keeping.spool.incoming / f"{uuid.uuid4().hex}.part",
            self._guard,
            sop_class_uid=part.sop_class_uid,
            sop_instance_uid=part.sop_instance_uid,
        )
        part.arrival.open(part.sop_class_uid, syntax)
        rest = bytes(part.head[end:])
        part.head.clear()
        if rest:
            part.arrival.write(memoryview(rest))

    def _end(self) -> None:
        part = self._part
        if part is None:
            return
        if part.arrival is None:
            refusal = self._counted(part)
            part.refusal = self._keeping.refuse(refusal, self._link, part.sop_instance_uid)
        else:
            part.refusal = self._keeping.keep(
                part.arrival, self._link, part.sop_instance_uid, self._study
            )
        self.discard()
        (self.failed if part.refusal is not None else self.stored).append(part)

    def _counted(self, part: _Part) -> StoreRefused:
        """Why the part is no object; it counts as one."""
        try:
            self._guard.begin()
        except StoreRefused as full:
            return full
        return part.refusal or StoreRefused(StoreFault.UNPARSABLE, "not a DICOM file")

    def _finish(self) -> None:
        self._ended = True


def _boundary(content_type: str) -> str:
    """The boundary of a request's media type (RFC 2387)."""
    media = Message()
    media["Content-Type"] = content_type
    if media.get_content_type() != "multipart/related":
        raise BadRequest(WRONG_TYPE, "the body must be multipart/related")
    if str(media.get_param("type", _DICOM)).lower() != _DICOM:
        raise BadRequest(WRONG_TYPE, "the parts must be application/dicom")
    boundary = media.get_boundary("")
    if not boundary or len(boundary) > 70 or not boundary.isascii():  # RFC 2046 5.1.1
        raise BadRequest(BAD_REQUEST, "the boundary is missing or too long")
    return boundary


def _syntaxes(sop_class_uid: str) -> tuple[str, ...]:
    return STORED[UID(sop_class_uid)].transfer_syntaxes


def _meta(head: bytes | bytearray) -> tuple[int, dict[int, str]] | None:
    """Where the File Meta Information ends, in bytes, and its UIDs; None if more must arrive.

    Some clients leave out preamble, prefix and group length. pydicom is not asked: it warns of
    malformed UIDs, quoting them.

    Raises
    ------
    StoreRefused
        It is not a DICOM file (PS3.10 7.1).
    """
    uids = dict.fromkeys((_CLASS, _INSTANCE, _SYNTAX), "")
    at = start = 0 if head.startswith(_GROUP) else _PREAMBLE
    while len(head) >= at + _ELEMENT.size + 4:
        group, element, vr, length = _ELEMENT.unpack_from(head, at)
        if group != _GROUP and at > start:
            return at, uids
        if group != _GROUP or (start and head[start - 4 : start] != b"DICM"):
            raise StoreRefused(StoreFault.UNPARSABLE, "not a DICOM file")
        value = at + _ELEMENT.size
        if vr in _LONG_VRS:
            length = int.from_bytes(head[value : value + 4], "little")
            value += 4
        at = value + length
        if at - start > _LARGEST_META:
            raise StoreRefused(StoreFault.BOUNDS, "File Meta Information is too long")
        if element in uids:
            uids[element] = head[value:at].rstrip(b"\0 ").decode("ascii", "replace")
    return None


def _reference(part: _Part) -> Dataset:
    """An item of the response (PS3.18 Annex I.2); what is no UID is not sent back."""
    item = Dataset()
    item.ReferencedSOPClassUID = loggable(part.sop_class_uid) or ""
    item.ReferencedSOPInstanceUID = loggable(part.sop_instance_uid) or ""
    if part.refusal is not None:
        item.FailureReason = STATUS[part.refusal.fault]
    return item
