"""Who calls the node during the soak: modalities, a router, a commitment asker, an attacker."""

from __future__ import annotations

import copy
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from judges import wire
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
from support.film import film

from dicom_node.commitment import PUSH_MODEL_INSTANCE, Reference
from dicom_node.commitment.datasets import request_data_set

_TIMEOUT_SECONDS = 60.0
_MOST_OUTSTANDING = 16  # reports owed; beyond, no new film: a modality has its own pace
_REMEMBERED = 200  # films that may come twice or be asked after


@dataclass(slots=True)
class Node:
    """Where the node listens, and what is known of its answers."""

    port: int
    ledger: Ledger
    pacs: LedgerPacs
    stop: threading.Event = field(default_factory=threading.Event)
    store_seconds: list[float] = field(default_factory=list)  # until Success
    echo_seconds: list[float] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    pledged: set[str] = field(default_factory=set)  # transactions whose report is owed to the PACS
    sent: list[tuple[Dataset, bool]] = field(default_factory=list)  # the latest films, and if owed


def callers(node: Node) -> dict[str, Callable[[], None]]:
    """Each caller by name; all run until `Node.stop`."""
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
    """One association with the node; ConnectionError where there is none."""
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


def send(node: Node, calling: str, ds: Dataset, *, owed: bool) -> bool:
    """C-STORE a film until the node says Success, as a modality does; False: it would not."""
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
                node.ledger.answered(study, uid, owed=owed, at=now)
                return True
        node.did["C-STORE not answered Success, sent again"] += 1
        if node.stop.wait(1.0):
            break
    return False


def unreported(node: Node) -> set[str]:
    """Commitments the node said Success to and has not reported on."""
    return node.pledged - {report.transaction_uid for report in node.pacs.heard}


def _films(node: Node, calling: str, films: list[tuple[Dataset, bool]], pause: float) -> None:
    chance = random.Random(calling)
    while not node.stop.wait(pause * chance.uniform(0.5, 1.5)):
        if node.ledger.outstanding() > _MOST_OUTSTANDING:
            continue
        drawn, owed = chance.choice(films)
        ds = _anew(drawn)
        if send(node, calling, ds, owed=owed):
            node.did[f"films by {calling}"] += 1
            node.sent = [*node.sent, (ds, owed)][-_REMEMBERED:]
        if chance.random() < 0.1:  # a late film of the same study: a second revision
            node.stop.wait(8.0)
            late = _anew(drawn)
            late.StudyInstanceUID = ds.StudyInstanceUID
            if send(node, calling, late, owed=owed):
                node.did["late films"] += 1


def _again_and_again(node: Node) -> None:
    """Films of the last minutes once more, and the node's own results, as a router does."""
    chance = random.Random(1)
    while not node.stop.wait(chance.uniform(10.0, 40.0)):
        if node.sent:
            ds, owed = chance.choice(node.sent[-20:])
            node.did["films sent twice"] += send(node, "ROUTER", ds, owed=owed)
        for result in node.pacs.latest[-2:]:
            with suppress(ConnectionError, RuntimeError):
                syntax = str(result.file_meta.TransferSyntaxUID)
                with association(node, "ROUTER", result.SOPClassUID, syntax) as assoc:
                    assoc.send_c_store(result)
                node.did["own results sent back"] += 1


def _ask_commitment(node: Node) -> None:
    """N-ACTION for films the node took; its reports go to the PACS."""
    while not node.stop.wait(30.0):
        films = [ds for ds, _ in node.sent[-5:]]
        references = tuple(
            Reference(sop_class_uid=str(ds.SOPClassUID), sop_instance_uid=str(ds.SOPInstanceUID))
            for ds in films
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
                node.pledged.add(transaction)
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
        node.did["C-ECHO in vain"] += 1


def _attack(node: Node) -> None:
    """Bytes that are no DICOM, almost DICOM, or DICOM with a few bytes changed."""
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
    """Ten sockets at a time that say nothing, or a byte now and then, for twenty seconds."""
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


def _anew(drawn: Dataset) -> Dataset:
    """The same picture under new UIDs."""
    ds = copy.deepcopy(drawn)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return ds


def _plain_films() -> list[tuple[Dataset, bool]]:
    return [(film(seed=n, opacity=0.9 * (n % 2)), True) for n in range(4)]


def _compressed_films() -> list[tuple[Dataset, bool]]:
    syntaxes = (RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1)
    return [
        (film(kind="dx", seed=n, opacity=0.9 * (n % 2), transfer_syntax=syntax), True)
        for n, syntax in enumerate(syntaxes)
    ]


def _other_films() -> list[tuple[Dataset, bool]]:
    """What is not read: a hand, a lateral film, a compressed one whose end is missing."""
    cut = film(kind="dx", transfer_syntax=RLELossless)
    cut.PixelData = cut.PixelData[: len(cut.PixelData) // 4 * 2]
    return [
        (film(rows=300, columns=300, BodyPartExamined="HAND"), True),
        (film(kind="dx", ViewPosition="LL"), True),
        (cut, True),
    ]
