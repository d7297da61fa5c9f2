"""Loopback peers: a PACS that can be slow, refuse, hang or abort; a silent port."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from typing import Any

from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedSRStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import evt
from pynetdicom.events import Event

from dicom_node.config import DicomDestination
from dicom_node.deliver.scu import StoreSender
from dicom_node.demo.pacs import USUAL_SYNTAXES, DemoPacs, storage_contexts

#: What a `Peer` takes: films and results. All of the storage classes would slow every test down.
SOP_CLASSES = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    EnhancedSRStorage,
    ComprehensiveSRStorage,
    Comprehensive3DSRStorage,
    SegmentationStorage,
    KeyObjectSelectionDocumentStorage,
)


class Act(Enum):
    """What a `Peer` does with a C-STORE instead of answering a given status."""

    STORE = auto()  # as an honest PACS
    ABORT = auto()  # A-ABORT instead of an answer
    STORE_AND_ABORT = auto()  # the object is kept, the answer is lost
    HANG = auto()  # no answer until the peer stops


class Peer(DemoPacs):
    """A PACS that misbehaves on command, and records what it saw.

    Parameters
    ----------
    acts
        One for each C-STORE in turn: a DIMSE status to answer, or an `Act`. After the last: STORE.
    delay_seconds
        Before each answer.
    reject
        (result, source, reason) of an A-ASSOCIATE-RJ for every association, PS3.8 9.3.4.
    read_delay_seconds
        Before reading on after each PDU of an association, so that our sending backs up.
    """

    def __init__(
        self,
        folder: Path,
        *,
        acts: Iterable[int | Act] = (),
        delay_seconds: float = 0.0,
        reject: tuple[int, int, int] | None = None,
        read_delay_seconds: float = 0.0,
        ae_title: str = "PACS",
        require_called: bool = False,
        syntaxes: Sequence[str] = USUAL_SYNTAXES,
    ) -> None:
        contexts = storage_contexts(SOP_CLASSES, syntaxes)
        super().__init__(
            folder, ae_title=ae_title, require_called=require_called, contexts=contexts
        )
        self.acts: deque[int | Act] = deque(acts)
        self.delay_seconds = delay_seconds
        self.reject = reject
        self.read_delay_seconds = read_delay_seconds
        self.associations = 0  # requested so far
        self.calling: list[str] = []  # calling AE title of each
        self.statuses: list[int] = []  # answered so far
        self._awake = threading.Event()

    def start(self) -> Peer:
        self._awake.clear()
        super().start()
        return self

    def stop(self) -> None:
        self._awake.set()
        super().stop()

    def __enter__(self) -> Peer:
        super().__enter__()
        return self

    def handlers(self) -> list[Any]:
        return [
            *super().handlers(),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_PDU_RECV, self._received),
        ]

    def store(self, event: Event) -> int:
        act = self.acts.popleft() if self.acts else Act.STORE
        if self.delay_seconds:
            self._awake.wait(self.delay_seconds)
        status = self._do(act, event)
        self.statuses.append(status)
        return status

    def _do(self, act: int | Act, event: Event) -> int:
        if isinstance(act, int):
            return act
        if act is Act.HANG:
            self._awake.wait()
        status = super().store(event) if act in (Act.STORE, Act.STORE_AND_ABORT) else 0x0110
        if act in (Act.ABORT, Act.STORE_AND_ABORT):
            event.assoc.abort()
        return status

    def _requested(self, event: Event) -> None:
        self.associations += 1
        request: Any = event.assoc.requestor.primitive
        self.calling.append(request.calling_ae_title)
        if self.reject is not None:
            event.assoc.acse.send_reject(*self.reject)
            event.assoc.is_rejected = True
            event.assoc.kill()  # returns once the rejection is out

    def _received(self, event: Event) -> None:
        if self.read_delay_seconds and event.assoc.is_established:
            self._awake.wait(self.read_delay_seconds)  # in the thread that reads the socket


@contextmanager
def silent_port() -> Iterator[int]:
    """A TCP port that takes connections and stays silent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@contextmanager
def dripping(beginning: bytes, *, pause_seconds: float = 0.1) -> Iterator[int]:
    """A port that answers every connection with a byte now and then, and never ends."""
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.sendall(beginning)
            while not stop.wait(pause_seconds):
                connection.sendall(b"x")

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            stop.set()


def free_port() -> int:
    """A TCP port that is free right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def destination(port: int, name: str = "pacs", ae_title: str = "PACS") -> DicomDestination:
    """Where a loopback peer is, for a sender or a configuration."""
    return DicomDestination(name=name, ae_title=ae_title, host="127.0.0.1", port=port)


def send_files(
    host: str, port: int, paths: Sequence[Path], calling: str = "TEST_SCU", called: str = "ANY"
) -> list[tuple[int | None, str]]:
    """C-STORE files in one association, as a modality would; (status, reason) for each."""
    peer = DicomDestination(name="peer", ae_title=called, host=host, port=port)
    answers = StoreSender(calling, [peer], timeout_seconds=30.0).send("peer", paths)
    return [(answer.status, answer.reason) for answer in answers]


def wait_until(true: Any, seconds: float = 10.0) -> None:
    """Return as soon as ``true()`` is; fail when it never is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
