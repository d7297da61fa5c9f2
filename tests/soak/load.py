"""The callers of a soak: modalities, an archive, a router, a commitment SCU, an attacker."""

from __future__ import annotations

import copy
import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from interop import wire
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from pynetdicom import AE, build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    Verification,
)
from soak.pacs import Ledger, LedgerPacs
from support.film import film, phantom

from dicom_node.commitment.datasets import request_data_set
from dicom_node.domain.commitment import PUSH_MODEL_INSTANCE, Reference

_TIMEOUT_SECONDS = 60.0
_OUT_OF_RESOURCES = 0xA7  # of a status: send again later
_MOST_OUTSTANDING = 16  # reports outstanding; with more, no new film is sent
_FRESH_SECONDS = 240.0  # a film is sent twice within this time; the node keeps it for longer


@dataclass(slots=True)
class Node:
    """The node's address and its answers so far."""

    port: int
    ledger: Ledger
    pacs: LedgerPacs
    stop: threading.Event = field(default_factory=threading.Event)
    store_seconds: list[float] = field(default_factory=list)  # until Success
    echo_seconds: list[float] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    requested: set[str] = field(default_factory=set)  # transactions that need a report
    sent: deque[tuple[float, Dataset]] = field(default_factory=lambda: deque(maxlen=50))

    def fresh(self) -> list[Dataset]:
        """The films of the last minutes."""
        since = time.monotonic() - _FRESH_SECONDS
        return [ds for at, ds in list(self.sent) if at > since]


def callers(node: Node) -> dict[str, Callable[[], None]]:
    """Each caller by name; all of them run until `Node.stop`."""
    return {
        "CR_ROOM": lambda: _films(node, "CR_ROOM", _plain_films(), 45.0),
        "DX_ROOM": lambda: _films(node, "DX_ROOM", _compressed_films(), 55.0),
        "ARCHIVE": lambda: _films(node, "ARCHIVE", _other_films(), 12.0),
        "ROUTER": lambda: _again_and_again(node),
        "PACS": lambda: _ask_commitment(node),
        "ECHO": lambda: _echo(node),
        "STORM": lambda: _attack(node),
        "LORIS": lambda: _hang(node),
    }


@contextmanager
def association(node: Node, calling: str, sop_class: str, syntax: str) -> Iterator[Any]:
    """Open an association with the node; raises ConnectionError if that fails."""
    ae = AE(calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = _TIMEOUT_SECONDS
    ae.connection_timeout = 10
    assoc = ae.associate(
        "127.0.0.1", node.port, contexts=[build_context(sop_class, syntax)], ae_title="DICOM_NODE"
    )
    if not assoc.is_established:
        raise ConnectionError("no association")
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def send(node: Node, calling: str, ds: Dataset) -> bool:
    """C-STORE a film until the node accepts it or refuses it for good, as a modality does."""
    for _ in range(20):
        with suppress(ConnectionError, RuntimeError):
            syntax = str(ds.file_meta.TransferSyntaxUID)
            with association(node, calling, ds.SOPClassUID, syntax) as assoc:
                began = time.monotonic()
                status = assoc.send_c_store(ds).get("Status")
            if status == 0x0000:
                now = time.monotonic()
                node.store_seconds.append(now - began)
                study, uid = str(ds.StudyInstanceUID), str(ds.SOPInstanceUID)
                node.ledger.answered(study, uid, now)
                return True
            if status is not None and status >> 8 != _OUT_OF_RESOURCES:
                node.did["C-STORE refused"] += 1
                return False
        node.did["C-STORE not answered Success, sent again"] += 1
        if node.stop.wait(1.0):
            break
    return False


def unreported(node: Node) -> set[str]:
    """Commitment requests that the node accepted and has not reported on."""
    return node.requested - {report.transaction_uid for report in node.pacs.heard}


def _films(node: Node, calling: str, films: list[Dataset], pause: float) -> None:
    chance = random.Random(calling)
    while not node.stop.wait(pause * chance.uniform(0.5, 1.5)):
        if node.ledger.outstanding() > _MOST_OUTSTANDING:
            continue
        drawn = chance.choice(films)
        ds = _with_new_uids(drawn)
        if send(node, calling, ds):
            node.did[f"films by {calling}"] += 1
            node.sent.append((time.monotonic(), ds))
        if chance.random() < 0.1:  # a late film of the same study: a second revision
            node.stop.wait(8.0)
            late = _with_new_uids(drawn)
            late.StudyInstanceUID = ds.StudyInstanceUID
            if send(node, calling, late):
                node.did["late films"] += 1


def _again_and_again(node: Node) -> None:
    """Send recent films and the node's own results again, as a router does."""
    chance = random.Random(1)
    while not node.stop.wait(chance.uniform(10.0, 40.0)):
        if films := node.fresh():
            node.did["films sent twice"] += send(node, "ROUTER", chance.choice(films))
        for result in node.pacs.latest[-2:]:
            with suppress(ConnectionError, RuntimeError):
                syntax = str(result.file_meta.TransferSyntaxUID)
                with association(node, "ROUTER", result.SOPClassUID, syntax) as assoc:
                    assoc.send_c_store(result)
                node.did["own results sent back"] += 1


def _ask_commitment(node: Node) -> None:
    """Request commitment for films the node accepted; its reports go to the PACS."""
    while not node.stop.wait(30.0):
        references = tuple(
            Reference(sop_class_uid=str(ds.SOPClassUID), sop_instance_uid=str(ds.SOPInstanceUID))
            for ds in node.fresh()[-5:]
        )
        if not references:
            continue
        transaction = str(generate_uid())
        asked = request_data_set(transaction, references)
        with suppress(ConnectionError, RuntimeError):
            with association(
                node, "PACS", StorageCommitmentPushModel, ExplicitVRLittleEndian
            ) as assoc:
                said, _ = assoc.send_n_action(
                    asked, 1, StorageCommitmentPushModel, PUSH_MODEL_INSTANCE
                )
            if said.get("Status") == 0x0000:
                node.requested.add(transaction)
                node.did["commitments asked of the node"] += 1


def _echo(node: Node) -> None:
    while not node.stop.wait(2.0):
        began = time.monotonic()
        with (
            suppress(ConnectionError, RuntimeError),
            association(node, "ECHO", Verification, ImplicitVRLittleEndian) as assoc,
        ):
            if assoc.send_c_echo().get("Status") == 0x0000:
                node.echo_seconds.append(time.monotonic() - began)
                continue
        node.did["C-ECHO failed"] += 1


def _attack(node: Node) -> None:
    """Send bytes that are not DICOM, almost DICOM, or DICOM with a few bytes changed."""
    chance = random.Random(2)
    while not node.stop.wait(chance.uniform(0.5, 3.0)):
        valid = wire.message(3, wire.store(b"1.2.7"), wire.data_set(b"1.2.7"))
        in_association = chance.random() < 0.6
        data = bytearray(valid if in_association else wire.request())
        for _ in range(chance.randrange(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        said = bytes(data) if chance.random() < 0.9 else chance.randbytes(4000)
        with suppress(OSError), _socket(node) as peer:
            if in_association:
                peer.sendall(wire.request())
                peer.recv(65536)
            peer.sendall(said)
            peer.settimeout(0.5)
            peer.recv(65536)
        node.did["hostile messages"] += 1


def _hang(node: Node) -> None:
    """Open ten sockets that are silent or send single bytes for twenty seconds."""
    while not node.stop.wait(90.0):
        sockets = []
        for _ in range(10):
            with suppress(OSError):
                sockets.append(_socket(node))
        for byte in wire.request()[:20]:
            for one in sockets[::2]:
                with suppress(OSError):
                    one.send(bytes([byte]))
            if node.stop.wait(1.0):
                break
        for one in sockets:
            one.close()
        node.did["sockets left hanging"] += len(sockets)


def _socket(node: Node) -> socket.socket:
    return socket.create_connection(("127.0.0.1", node.port), timeout=5)


def _with_new_uids(drawn: Dataset) -> Dataset:
    """The same image with new UIDs."""
    ds = copy.deepcopy(drawn)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return ds


def _plain_films() -> list[Dataset]:
    return [film(phantom(seed=n, opacity=0.9 * (n % 2))) for n in range(4)]


def _compressed_films() -> list[Dataset]:
    syntaxes = (RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1)
    return [
        film(phantom(seed=n, opacity=0.9 * (n % 2)), kind="dx", syntax=syntax)
        for n, syntax in enumerate(syntaxes)
    ]


def _other_films() -> list[Dataset]:
    """Images that are not read: a hand, a lateral, a cropped film, one blank from the middle."""
    cut = film(kind="dx", syntax=RLELossless)
    cut.PixelData = cut.PixelData[: len(cut.PixelData) // 4 * 2]
    blank = film(kind="dx", syntax=JPEG2000Lossless)
    half = len(blank.PixelData) // 2
    blank.PixelData = blank.PixelData[:half] + bytes(len(blank.PixelData) - half)
    hand = film(phantom(300, 300), BodyPartExamined="HAND")
    return [hand, film(kind="dx", ViewPosition="LL"), cut, blank]
