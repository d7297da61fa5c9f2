"""A data set on its way from the socket to the spool: hashed and written as its fragments come.

pynetdicom's own chunked reception (3.0) puts its temporary file where `tempfile` says, leaves it
behind when the association breaks, and ends the thread on a full disk, so that the peer gets no
answer. `SpoolingDimse` takes its place; memory holds one fragment, whatever the size of the object.
"""

from __future__ import annotations

import hashlib
import os
import struct
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

import structlog
from pydicom.errors import BytesLengthException
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ, N_ACTION_RQ, N_EVENT_REPORT_RQ
from pynetdicom.pdu_primitives import P_DATA

from dicom_node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.receive.checks import check_command
from dicom_node.receive.disk_space import LOOK_BYTES
from dicom_node.receive.store_status import Fault, StoreRefused

if TYPE_CHECKING:
    from pathlib import Path

    from pynetdicom.association import Association
    from pynetdicom.dimse_messages import DIMSEMessage

    from dicom_node.receive.disk_space import Room

MAX_COMMAND = 64 * 2**10  # bytes of a command set, or of a data set we did not ask for
MAX_COMMITMENT = 2**20  # bytes of a storage commitment request or report: about 5000 instances

_COMMITMENT = (N_ACTION_RQ, N_EVENT_REPORT_RQ)

#: What pynetdicom and pydicom raise at a command set that is none. It ends the association.
_MALFORMED = (LookupError, ValueError, TypeError, AttributeError, RuntimeError, EOFError,
              struct.error, BytesLengthException)  # fmt: skip

log = structlog.get_logger()


class Arrival:
    """One data set, from its C-STORE-RQ to its place on disk.

    It is a DICOM file (PS3.10 7.1) from the first byte. What goes wrong before the peer has sent
    everything is kept in ``trouble``: the rest is let through to nowhere, and the answer follows.
    """

    def __init__(
        self, path: Path, room: Room, *, sop_class_uid: str, sop_instance_uid: str
    ) -> None:
        self.path = path
        self._room = room
        self._looked = 0  # bytes of the data set when the room was last asked for
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
        """Of the data set as it came, hex."""
        return self._digest.hexdigest()

    def open(self, abstract_syntax: str, transfer_syntax_uid: str) -> None:
        """Check the command, create the file, write its preamble and meta information."""
        try:
            self._room.check()
            check_command(self.sop_class_uid, self.sop_instance_uid, abstract_syntax)
            meta = file_meta(self.sop_class_uid, self.sop_instance_uid, transfer_syntax_uid)
            self._file = self.path.open("xb")
            self._file.write(meta)
        except (StoreRefused, OSError) as error:
            self.trouble = error
        else:
            self.transfer_syntax_uid, self.data_set_offset = transfer_syntax_uid, len(meta)

    def write(self, chunk: memoryview) -> None:
        """Take one fragment."""
        if self.trouble is not None or self._file is None:
            return
        try:
            self._file.write(chunk)
            self.size += len(chunk)
            if self.size - self._looked > LOOK_BYTES:
                self._looked = self.size
                self._room.check(self.size)
        except (StoreRefused, OSError) as error:
            self.trouble = error
            self._give_back()
        self._digest.update(chunk)

    def _give_back(self) -> None:
        """Free the disk at once: the peer may go on sending for long."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            if self._file is not None:
                self._file.close()

    def seal(self) -> None:
        """Have every byte on the disk itself. Raises what was wrong until now."""
        if self.trouble is not None:
            raise self.trouble
        if self._file is None or not self.size:
            raise StoreRefused(Fault.NO_DATA_SET, "no data set came with the command")
        self._file.flush()
        os.fsync(self._file.fileno())

    def discard(self) -> None:
        """Let go of the file; it is removed where nobody has moved it to its place."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:  # a full disk again, on the last buffer
                log.debug("spool file closed with an error", path=self.path.name)
            self.path.unlink(missing_ok=True)


class SpoolingDimse(DIMSEServiceProvider):
    """pynetdicom's DIMSE provider, with the data sets of C-STORE going straight to disk.

    Runs in the association's upper-layer thread; `claim` is called in its reactor thread.
    """

    def __init__(self, assoc: Association, folder: Path, room: Room) -> None:
        super().__init__(assoc)
        self._folder = folder
        self._room = room
        self._arriving: Arrival | None = None
        self._arrived: dict[Path, Arrival] = {}

    def claim(self, path: Path | None) -> Arrival | None:
        """The arrival a C-STORE event's ``dataset_path`` names; None where none came."""
        return self._arrived.pop(path, None) if path is not None else None

    def discard(self) -> None:
        """Remove what nobody claimed. To be called when the association's threads are gone."""
        for arrival in [*self._arrived.values(), *filter(None, [self._arriving])]:
            arrival.discard()

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the fragments of one P-DATA (PS3.7 6.3.1, PS3.8 Annex E)."""
        try:
            for context_id, fragment in primitive.presentation_data_value_list:
                self._fragment(context_id, fragment)
        except _MALFORMED as error:
            log.warning("malformed message", error=type(error).__name__)
            self.dul.event_queue.put("Evt19")  # invalid PDU: A-ABORT, PS3.8 Table 9-10

    def _fragment(self, context_id: int, fragment: bytes) -> None:
        control, arriving = fragment[0], self._arriving  # PS3.8 E.2: 1 command, 2 last
        if arriving is not None and not control & 1:
            arriving.write(memoryview(fragment)[1:])
            if not control & 2:
                return
            self._complete(arriving)
            fragment = fragment[:1]  # pynetdicom sees the end of a data set it never held
        single = P_DATA()
        single.presentation_data_value_list.append((context_id, fragment))
        super().receive_primitive(single)
        if self.message is not None:
            self._look_at(self.message)

    def _complete(self, arriving: Arrival) -> None:
        self._arrived[arriving.path] = arriving
        self._arriving = None
        if self.message is not None:
            self.message._data_set_path = arriving.path  # becomes the event's dataset_path

    def _look_at(self, message: DIMSEMessage) -> None:
        """Open the spool for a C-STORE-RQ; bound the memory of everything else."""
        if isinstance(message, C_STORE_RQ):
            if self._arriving is None:
                self._arriving = self._open(message)
            return
        held = message.encoded_command_set.tell()
        held += message.data_set.tell() if message.data_set is not None else 0
        if held > (MAX_COMMITMENT if isinstance(message, _COMMITMENT) else MAX_COMMAND):
            raise ValueError("a command set without end")

    def _open(self, message: C_STORE_RQ) -> Arrival:
        arrival = Arrival(
            self._folder / f"{uuid.uuid4().hex}.part",
            self._room,
            sop_class_uid=str(message.command_set.get("AffectedSOPClassUID", "")),
            sop_instance_uid=str(message.command_set.get("AffectedSOPInstanceUID", "")),
        )
        for context in self.assoc.accepted_contexts:
            if context.context_id == message.context_id:
                arrival.open(str(context.abstract_syntax), str(context.transfer_syntax[0]))
        return arrival


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and File Meta Information of a DICOM file, PS3.10 7.1."""
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
