"""What is attacked: a node of real processes, and the means to send to it whatever one likes.

Only the networks are a stand-in (`crash/stand_in`), because no attack is against them.
"""

from __future__ import annotations

import io
import os
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from support.peer import free_port
from support.running import COMMAND, RunningNode

_TESTS = Path(__file__).parents[1]
_STAND_IN = _TESTS / "crash" / "stand_in"
CLASSES = (
    SecondaryCaptureImageStorage,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    BasicTextSRStorage,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attack achieved."""

    attack: str
    held: bool
    said: str


@dataclass(slots=True)
class Target(RunningNode):
    """The node under attack."""

    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        path = os.pathsep.join(map(str, (_STAND_IN, _TESTS, _TESTS.parent)))
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [COMMAND, "run", "--config", self.config],
                stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": path},
            )  # fmt: skip
        self.wait_until(lambda: answers(self.port) and "worker-1" in self.pids(), seconds=60)

    def sql(self, query: str, *values: object) -> list[Any]:
        path = f"file:{self.data_dir}/node.db?mode=ro"
        with closing(sqlite3.connect(path, uri=True, timeout=10)) as database:
            return database.execute(query, values).fetchall()

    def decision(self, ds: Dataset) -> str:
        query = "SELECT decision FROM instances WHERE sop_instance_uid = ?"
        return next((row[0] for row in self.sql(query, str(ds.SOPInstanceUID))), "unknown")

    def alarms(self) -> list[str]:
        return [str(each) for each in self.cli("status", "--json")["alarms"]]


@contextmanager
def target(folder: Path, **sections: Any) -> Iterator[Target]:
    """Start a node with these sections of the configuration; end it whatever happened."""
    folder.mkdir(parents=True)
    node = Target(folder=folder, port=free_port())
    base: dict[str, Any] = {
        "node": {"host": "127.0.0.1", "port": node.port, "data_dir": str(node.data_dir)},
        "study": {"quiet_seconds": 1.0},
        "workers": {"count": 1, "threads": 1},
    }
    for section, keys in sections.items():
        base[section] = {**base.get(section, {}), **keys} if isinstance(keys, dict) else keys
    node.config.write_text(yaml.safe_dump(base))
    try:
        node.start()
        yield node
    finally:
        if node.process is not None and node.process.poll() is None:
            node.stop(120)


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 2):
        return True
    return False


def small(sop_class: UID = SecondaryCaptureImageStorage, **elements: object) -> Dataset:
    """A tiny object that the node stores: an 8 x 8 picture, or an empty report."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientID, ds.PatientName, ds.Modality = "X1", "Test^Red", "SR"
    if sop_class == SecondaryCaptureImageStorage:
        ds.Modality, ds.PhotometricInterpretation = "OT", "MONOCHROME2"
        ds.Rows = ds.Columns = ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit, ds.SamplesPerPixel, ds.PixelRepresentation = 7, 1, 0
        ds.PixelData = bytes(64)
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


@contextmanager
def association(
    port: int,
    calling: str,
    classes: Sequence[UID] = CLASSES,
    syntax: UID = ExplicitVRLittleEndian,
    **more: Any,
) -> Iterator[Association]:
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
    contexts = [build_context(each, syntax) for each in classes]
    assoc = ae.associate("127.0.0.1", port, contexts=contexts, ae_title="DICOM_NODE", **more)
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def store(port: int, *objects: Dataset, calling: str = "ATTACKER", **more: Any) -> list[int | None]:
    """C-STORE each object; None for no answer, an empty list if the association is rejected."""
    with association(port, calling, **more) as assoc:
        if not assoc.is_established:
            return []
        return [getattr(assoc.send_c_store(each), "Status", None) for each in objects]


def store_bytes(port: int, ds: Dataset, content: bytes, syntax: UID) -> int | None:
    """C-STORE of bytes that no library has looked at."""
    with association(port, "ATTACKER", (ds.SOPClassUID,), syntax) as assoc:
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID = ds.SOPClassUID
        request.AffectedSOPInstanceUID = ds.SOPInstanceUID
        request.DataSet = io.BytesIO(content)
        assoc._reactor_checkpoint.clear()
        assoc.dimse.send_msg(request, assoc.accepted_contexts[0].context_id)  # type: ignore[arg-type]
        _, answer = assoc.dimse.get_msg(block=True)
        assoc._reactor_checkpoint.set()
        return getattr(answer, "Status", None)


def becomes(true: Callable[[], object], seconds: float) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
