"""Write a data set to the spool while it arrives, and hash it on the way.

pynetdicom 3.0 can receive in chunks too, but it puts its temporary file where `tempfile` says,
leaves it behind when the association breaks, and ends its thread on a full disk, so that the peer
gets no answer. `SpoolingDimse` replaces that. Memory holds one fragment at a time.
"""

from __future__ import annotations

import hashlib
import os
import struct
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import structlog
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import (
    C_STORE_RQ,
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    DIMSEMessage,
)
from pynetdicom.pdu_primitives import P_DATA

from dicom_node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.receive.checks import check_command
from dicom_node.receive.disk_space import CHECK_EVERY_BYTES
from dicom_node.receive.store_status import StoreFault, StoreRefused
from dicom_node.receive.waiting import WAIT_SECONDS, WakingQueue

if TYPE_CHECKING:
    from pathlib import Path

    from pynetdicom.association import Association

    from dicom_node.receive.prompt import Waking
    from dicom_node.receive.quotas import PeerGuard

MAX_COMMAND = 64 * 2**10  # bytes of a command set, or of a data set other than a C-STORE's
MAX_COMMITMENT = 2**20  # bytes of a storage commitment request or report: about 5000 instances

# Without these a C-STORE-RQ cannot be answered (PS3.7 Table 9.3-1)
_REQUIRED = ("MessageID", "AffectedSOPClassUID", "AffectedSOPInstanceUID")
_PDV = 6  # bytes of a presentation data value before its fragment, PS3.8 9.3.5.1
_COMMITMENT = (N_ACTION_RQ, N_EVENT_REPORT_RQ)

log = structlog.get_logger()


class Arrival:
    """One data set, from its C-STORE-RQ to its place on disk.

    The file is a DICOM file (PS3.10 7.1) from its first byte. An error that occurs before the peer
    has sent everything is kept in ``trouble``: the remaining fragments are dropped, and `seal`
    raises the error when the peer expects its answer.
    """

    def __init__(
        self, path: Path, guard: PeerGuard, *, sop_class_uid: str, sop_instance_uid: str
    ) -> None:
        self.path = path
        self.guard = guard
        self._checked = 0  # bytes of the data set at the last check of the limits
        self.sop_class_uid = sop_class_uid
        self.sop_instance_uid = sop_instance_uid
        self.transfer_syntax_uid = ""
        self.data_set_offset = 0  # bytes into the file
        self.size = 0  # bytes of the data set
        self.trouble: StoreRefused | OSError | None = None
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 of the data set as it arrived, hex."""
        return self._digest.hexdigest()

    def open(self, abstract_syntax: str, transfer_syntax_uid: str) -> None:
        """Check the command, create the file, write preamble and File Meta Information."""
        try:
            self.guard.begin()
            check_command(self.sop_class_uid, self.sop_instance_uid, abstract_syntax)
            meta = file_meta(self.sop_class_uid, self.sop_instance_uid, transfer_syntax_uid)
            self._file = self.path.open("xb")
            self._file.write(meta)
        except (StoreRefused, OSError) as error:
            self.trouble = error
        else:
            self.transfer_syntax_uid, self.data_set_offset = transfer_syntax_uid, len(meta)

    def write(self, chunk: memoryview) -> None:
        """Append one fragment of the data set."""
        if self.trouble is not None or self._file is None:
            return
        try:
            self._file.write(chunk)
            self.size += len(chunk)
            if self.size - self._checked > CHECK_EVERY_BYTES:
                self._checked = self.size
                self.guard.check(self.size)
        except (StoreRefused, OSError) as error:
            self.trouble = error
            self._free_disk()
        self._digest.update(chunk)

    def _free_disk(self) -> None:
        """Remove the file at once: the peer may go on sending for a long time."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            if self._file is not None:
                self._file.close()

    def seal(self) -> None:
        """Flush every byte to the disk itself; raise the error that occurred on the way, if any."""
        if self.trouble is not None:
            raise self.trouble
        if self._file is None or not self.size:
            raise StoreRefused(StoreFault.NO_DATA_SET, "no data set came with the command")
        self.guard.check(self.size)
        self._file.flush()
        os.fsync(self._file.fileno())

    def discard(self) -> None:
        """Close the file, and remove it unless it was moved to its final place."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:  # a full disk again, on the last buffer
                log.debug("spool file closed with an error", path=self.path.name)
            self.path.unlink(missing_ok=True)


class SpoolingDimse(DIMSEServiceProvider):
    """pynetdicom's DIMSE provider, except that the data sets of C-STORE go straight to disk.

    It runs in the association's upper-layer thread; `claim` is called from its reactor thread.
    """

    def __init__(
        self, assoc: Association, folder: Path, guard: PeerGuard, connection: Waking
    ) -> None:
        super().__init__(assoc)
        self._connection = connection
        self.msg_queue = WakingQueue(connection.news.set)
        self._folder = folder
        self.guard = guard
        self._arriving: Arrival | None = None
        self._arrived: dict[Path, Arrival] = {}

    @property
    def amid(self) -> bool:
        """See `Taking`."""
        return self._arriving is not None

    def take(self, body: memoryview) -> bool:
        """See `Taking`."""
        within = len(body) > _PDV and int.from_bytes(body[:4], "big") == len(body) - 4
        if self._arriving is None or not within or body[5] & 3:  # PS3.8 E.2: 1 command, 2 last
            return False
        self._arriving.write(body[_PDV:])
        return True

    def claim(self, path: Path | None) -> Arrival | None:
        """The data set that a C-STORE event's ``dataset_path`` names; None if there is none."""
        return self._arrived.pop(path, None) if path is not None else None

    def get_msg(self, block: bool = False) -> tuple[int, Any] | tuple[None, None]:
        """Return the next message; without ``block`` wait for news of any kind, shortly."""
        if not block and self.msg_queue.empty():
            self._connection.news.wait(WAIT_SECONDS)
            self._connection.news.clear()
        return super().get_msg(block)

    def discard(self) -> None:
        """Remove unclaimed files. Call it when the association's threads have ended."""
        self._connection.close()
        for arrival in [*self._arrived.values(), *filter(None, [self._arriving])]:
            arrival.discard()

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Handle the fragments of one P-DATA (PS3.7 6.3.1, PS3.8 Annex E)."""
        try:
            for context_id, fragment in primitive.presentation_data_value_list:
                self._fragment(context_id, fragment)
        except MALFORMED as error:
            log.warning("malformed message", error=type(error).__name__)
            self.dul.event_queue.put("Evt19")  # invalid PDU: A-ABORT, PS3.8 Table 9-10

    def _fragment(self, context_id: int, fragment: bytes) -> None:
        control, arriving = fragment[0], self._arriving  # PS3.8 E.2: 1 command, 2 last
        if control & 1 and self.message is not None and type(self.message) is not DIMSEMessage:
            raise ValueError("a command in the middle of a message")  # PS3.8 E.1
        if arriving is not None and not control & 1:
            arriving.write(memoryview(fragment)[1:])
            if not control & 2:
                return
            self._complete(arriving)
            fragment = fragment[:1]  # so pynetdicom sees the end of the data set, but not its bytes
        single = P_DATA()
        single.presentation_data_value_list.append((context_id, fragment))
        super().receive_primitive(single)
        if self.message is not None:
            self._inspect(self.message)

    def _complete(self, arriving: Arrival) -> None:
        self._arrived[arriving.path] = arriving
        self._arriving = None
        if self.message is not None:
            self.message._data_set_path = arriving.path  # becomes the event's dataset_path

    def _inspect(self, message: DIMSEMessage) -> None:
        """Open a spool file for a C-STORE-RQ; limit the memory of every other message."""
        if isinstance(message, C_STORE_RQ):
            if self._arriving is None:
                self._arriving = self._open(message)
            return
        held = message.encoded_command_set.tell()
        held += message.data_set.tell() if message.data_set is not None else 0
        if held > (MAX_COMMITMENT if isinstance(message, _COMMITMENT) else MAX_COMMAND):
            raise ValueError("the command set is too long")

    def _open(self, message: C_STORE_RQ) -> Arrival:
        if any(message.command_set.get(each) in (None, "") for each in _REQUIRED):
            raise ValueError("a C-STORE-RQ that cannot be answered")
        arrival = Arrival(
            self._folder / f"{uuid.uuid4().hex}.part",
            self.guard,
            sop_class_uid=str(message.command_set.get("AffectedSOPClassUID", "")),
            sop_instance_uid=str(message.command_set.get("AffectedSOPInstanceUID", "")),
        )
        for context in self.assoc.accepted_contexts:
            if context.context_id == message.context_id:
                arrival.open(str(context.abstract_syntax), str(context.transfer_syntax[0]))
                return arrival
        raise ValueError("a C-STORE-RQ in a context that was not accepted")


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and File Meta Information of a DICOM file, PS3.10 7.1.

    `pynetdicom.dsutils.encode_file_meta` writes the same bytes, but takes a hundred times as long
    and warns of UIDs with leading zeros, which are common, quoting them.
    """
    elements = b"".join(
        _element(element, vr, value)
        for element, vr, value in (
            (0x0001, b"OB", b"\0\1"),
            (0x0002, b"UI", sop_class_uid.encode()),
            (0x0003, b"UI", sop_instance_uid.encode()),
            (0x0010, b"UI", transfer_syntax_uid.encode()),
            (0x0012, b"UI", IMPLEMENTATION_CLASS_UID.encode()),
            (0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode()),
        )
    )
    group_length = _element(0x0000, b"UL", struct.pack("<I", len(elements)))
    return b"\0" * 128 + b"DICM" + group_length + elements


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    """One element of group 0002, Explicit VR Little Endian (PS3.5 7.1.2)."""
    if len(value) % 2:
        value += b" " if vr == b"SH" else b"\0"
    length = struct.pack("<HI", 0, len(value)) if vr == b"OB" else struct.pack("<H", len(value))
    return struct.pack("<HH", 0x0002, element) + vr + length + value
