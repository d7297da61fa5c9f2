"""Parts of reception's tests: a store in memory, a receiver on a free port, senders."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Self

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from support.film import film, phantom

from dicom_node.config import (
    Config,
    NodeConfig,
    PriorityConfig,
    QuotasConfig,
    SpoolConfig,
    TlsConfig,
)
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.conflicts import Conflict, PatientKey
from dicom_node.domain.values import Instance
from dicom_node.receive.arrival import file_meta
from dicom_node.receive.limits import Limits
from dicom_node.receive.scp import Receiver

SECRET = bytes(range(32))
VERIFICATION = "1.2.840.10008.1.1"


def now() -> datetime:
    """A clock that stands still."""
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def received(data_set: bytes) -> bytes:
    """The file that reception makes of a data set; the digest in its row is the data set's."""
    return file_meta("1.2.3", "1.2.3.4", ExplicitVRLittleEndian) + data_set


class MemoryStore:
    """Inbox and Audit in memory; `before_add` runs inside every add, and may raise."""

    def __init__(self) -> None:
        self.rows: dict[str, Instance] = {}
        self.events: list[AuditEvent] = []
        self.own: set[str] = set()
        self.found: list[Conflict] = []
        self.patients: dict[str, PatientKey] = {}
        self.asked_for: set[str] = set()  # studies
        self.accessions: dict[str, str] = {}  # by study, as digests
        self.before_add: Callable[[Instance], object] = lambda _: None
        self._lock = threading.Lock()

    def find(self, sop_instance_uid: str) -> Instance | None:
        return self.rows.get(sop_instance_uid)

    def is_own_result(self, sop_instance_uid: str) -> bool:
        return sop_instance_uid in self.own

    def conflicts(self, sop_instance_uid: str) -> list[Conflict]:
        return [each for each in self.found if each.sop_instance_uid == sop_instance_uid]

    def add_conflict(self, conflict: Conflict, *events: AuditEvent) -> None:
        with self._lock:
            self.found.append(conflict)
            self.events += events

    def stored_bytes(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for row in self.rows.values():
            sizes[row.calling_ae_title] = sizes.get(row.calling_ae_title, 0) + row.size
        return sizes

    def is_asked_for(self, study_instance_uid: str) -> bool:
        return study_instance_uid in self.asked_for

    def patient_of(self, study_instance_uid: str) -> PatientKey | None:
        return self.patients.get(study_instance_uid)

    def add(
        self,
        instance: Instance,
        *events: AuditEvent,
        patient: PatientKey | None = None,
        accession: str = "",
    ) -> bool:
        self.before_add(instance)
        with self._lock:
            if instance.sop_instance_uid in self.rows:
                return False
            self.rows[instance.sop_instance_uid] = instance
            self.accessions[instance.study_instance_uid] = accession
            if patient is not None:
                known = self.patients.get(instance.study_instance_uid, patient)
                self.patients[instance.study_instance_uid] = known.completed(patient)
            self.events += events
            return True

    def append(self, *events: AuditEvent) -> None:
        with self._lock:
            self.events += events

    def kinds(self) -> list[AuditKind]:
        return [event.kind for event in self.events]


@contextmanager
def receiver(
    data_dir: Path, store: MemoryStore, *, tls: TlsConfig = TlsConfig(),  # noqa: B008 - frozen
    spool: SpoolConfig = SpoolConfig(min_free_mb=0), limits: Limits = Limits(),  # noqa: B008
    quotas: QuotasConfig = QuotasConfig(),  # noqa: B008
    priority: PriorityConfig = PriorityConfig(),  # noqa: B008
    **node: object,
) -> Iterator[Receiver]:  # fmt: skip
    """A receiver on a free port of the loopback; its TLS port is free too, where it has one."""
    own = NodeConfig(ae_title="AINODE", host="127.0.0.1", data_dir=data_dir)
    own = own.model_copy(update={"port": 0, **node})
    if tls.port is not None:
        tls = tls.model_copy(update={"port": 0})
    sections = {"node": own, "tls": tls, "spool": spool, "quotas": quotas, "priority": priority}
    config = Config().model_copy(update=sections)
    running = Receiver(config, store, store, now, secret=SECRET, limits=limits)
    running.start()
    try:
        yield running
    finally:
        running.stop(drain_seconds=0.5)


def small_film(seed: int = 0, **elements: Any) -> Dataset:
    """A film of a few kilobytes."""
    return film(phantom(64, 48, seed, marker=None), **elements)


def encoded(ds: Dataset, *, implicit: bool = False) -> bytes:
    """The data set alone, uncompressed, as it travels."""
    out = BytesIO()
    plain = Dataset(ds)
    dcmwrite(out, plain, implicit_vr=implicit, little_endian=True)
    return out.getvalue()


@contextmanager
def association(
    port: int, *sop_classes: str, syntax: str = ExplicitVRLittleEndian,
    calling: str = "MODALITY", called: str = "AINODE",
) -> Iterator[Association]:  # fmt: skip
    """An association as a modality asks for it; it may have been rejected."""
    ae = AE(calling)
    for sop_class in sop_classes or (VERIFICATION,):
        ae.add_requested_context(UID(sop_class), [syntax])
    assoc = ae.associate("127.0.0.1", port, ae_title=called)
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def send(port: int, ds: Dataset, **asked: str) -> int:
    """C-STORE one object over an association of its own; its status."""
    syntax = str(ds.file_meta.TransferSyntaxUID)
    with association(port, ds.SOPClassUID, syntax=syntax, **asked) as assoc:
        return int(assoc.send_c_store(ds).Status)


class RawPeer:
    """A C-STORE SCU that sends what it likes, byte by byte (PS3.8 9.3)."""

    def __init__(self, port: int, sop_class: str, syntax: str = ExplicitVRLittleEndian) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.sop_class = sop_class
        context = b"\1\0\0\0" + item(0x30, sop_class.encode()) + item(0x40, syntax.encode())
        self.socket.sendall(association_request(contexts=item(0x20, context)))
        assert self.socket.recv(65536)[:1] == b"\2"

    def command(self, sop_instance_uid: str, *, data_set: bool = True) -> None:
        """Send a C-STORE-RQ command set."""
        self.send((3, self.command_set(sop_instance_uid, data_set=data_set)))

    def command_set(self, uid: str, *, data_set: bool = True, without: int = 0) -> bytes:
        """A C-STORE-RQ, without one of its elements."""
        values = {
            0x0002: self.sop_class.encode(), 0x0100: b"\1\0", 0x0110: b"\1\0",
            0x0700: b"\0\0", 0x0800: b"\0\0" if data_set else b"\1\1", 0x1000: uid.encode(),
        }  # fmt: skip
        content = b"".join(_command(tag, value) for tag, value in values.items() if tag != without)
        return _command(0, struct.pack("<I", len(content))) + content

    def data(self, content: bytes, *, last: bool = True) -> None:
        """Send a fragment of the data set."""
        self.send((2 if last else 0, content))

    def status(self) -> int:
        """Read the answer's status; -1 for anything but an answer."""
        answer = self.socket.recv(65536)
        at = answer.find(struct.pack("<HHI", 0, 0x0900, 2))
        return int(struct.unpack_from("<H", answer, at + 8)[0]) if at > 0 else -1

    def store(self, sop_instance_uid: str, content: bytes) -> int:
        """C-STORE, whole."""
        self.command(sop_instance_uid)
        self.data(content)
        return self.status()

    def send(self, *values: tuple[int, bytes], context: int = 1) -> None:
        """Send one P-DATA-TF with several values: control header and content (PS3.8 Annex E)."""
        body = b"".join(
            struct.pack(">IBB", len(content) + 2, context, control) + content
            for control, content in values
        )
        self.socket.sendall(pdu(4, body))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def association_request(
    *, calling: bytes = b"RAW", called: bytes = b"AINODE", version: int = 1,
    application: bytes | None = b"1.2.840.10008.3.1.1.1", contexts: bytes | None = None,
    user: bytes | None = None, reserved: bytes = bytes(32), after: bytes = b"",
) -> bytes:  # fmt: skip
    """An A-ASSOCIATE-RQ, by default for Verification; items are as they go over the wire."""
    if contexts is None:
        contexts = proposed(1)
    if user is None:
        user = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"))
    items = item(0x10, application) if application is not None else b""
    head = struct.pack(">HH", version, 0) + called.ljust(16) + calling.ljust(16) + reserved
    return pdu(1, head + items + contexts + user + after)


def proposed(
    number: int, abstract: bytes | None = VERIFICATION.encode(),
    syntaxes: tuple[bytes, ...] = (b"1.2.840.10008.1.2",),
) -> bytes:  # fmt: skip
    """A presentation context item."""
    items = item(0x30, abstract) if abstract is not None else b""
    items += b"".join(item(0x40, each) for each in syntaxes)
    return item(0x20, bytes([number, 0, 0, 0]) + items)


def pdu(kind: int, content: bytes) -> bytes:
    """A PDU, PS3.8 9.3.1."""
    return struct.pack(">BBI", kind, 0, len(content)) + content


def item(kind: int, content: bytes) -> bytes:
    """An item or sub-item, PS3.8 9.3.2."""
    return struct.pack(">BBH", kind, 0, len(content)) + content


def _command(element: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(value)) + value


def eventually(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
