"""The fuzz targets. Each takes bytes and raises only if the node is at fault."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at import
from support.readings import MODEL, frame, look, positive
from support.receiving import MemoryStore, association, receiver

from dicom_node.config import Config, GateConfig, ResultsConfig, SelectConfig
from dicom_node.domain.values import Image
from dicom_node.pipeline import Pipeline
from dicom_node.receive.checks import check_identity, check_pixels
from dicom_node.receive.contexts import STORED
from dicom_node.receive.header_scan import read_header
from dicom_node.receive.scp import Receiver
from dicom_node.receive.store_status import StoreRefused
from models.reading import Look, ModelIdentity, Reading

_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
_ECHO_EVERY = 100  # connections
_SECONDS = 0.25  # to wait for the answer on one connection


def header(data: bytes) -> None:
    """Scan the header of an arriving data set and check identity and pixels, in each encoding."""
    path = _folder() / "header"
    path.write_bytes(data)
    for syntax in _SYNTAXES:
        with suppress(StoreRefused):
            found = read_header(path, 0, syntax)
            if found.sop_class_uid in STORED:
                check_identity(found, found.sop_class_uid, found.sop_instance_uid)
                check_pixels(found, syntax)


def film(data: bytes) -> None:
    """Run the worker's pipeline on a file, with a scripted reader.

    The decoder is the node's own child process, which may crash; the pipeline may only refuse. Only
    the report is composed: the other objects hold little of the file and take long.
    """
    path = _folder() / "film.dcm"
    path.write_bytes(data)
    outcome = _pipeline().read(path, _folder() / "out")
    assert (outcome.refusal is None) != (outcome.reading is None)
    for result in outcome.results:
        (_folder() / "out" / result.path).unlink()


def wire(data: bytes) -> None:
    """Send the bytes over a connection; now and then check with a C-ECHO that the node answers."""
    node = _node()
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", node.ports[0]), _SECONDS) as peer,
    ):
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(4096):
            pass
    _Threads.sent += 1
    if _Threads.sent % _ECHO_EVERY == 0:
        with association(node.ports[0], Verification) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
    if _Threads.died:
        raise _Threads.died.pop()


TARGETS: dict[str, Callable[[bytes], None]] = {"header": header, "film": film, "wire": wire}


class _Threads:
    """Exceptions in the receiver's threads whose traceback holds code of the node."""

    sent = 0
    died: list[BaseException] = []  # noqa: RUF012 - one list for the process

    @classmethod
    def note(cls, happened: threading.ExceptHookArgs) -> None:
        trace = happened.exc_traceback
        while trace is not None:
            if "/dicom_node/" in trace.tb_frame.f_code.co_filename and happened.exc_value:
                cls.died.append(happened.exc_value)
                return
            trace = trace.tb_next


class _Reader:
    """Finds both diseases in every film."""

    @property
    def identity(self) -> ModelIdentity:
        return MODEL

    def look(self, image: Image) -> Look:
        return look()

    def read(self, image: Image, *, force_stage3: bool = False, **_: object) -> Reading:
        return positive(frame(*image.pixels.shape))


@cache
def _folder() -> Path:
    return Path(mkdtemp(prefix="fuzz-"))


@cache
def _pipeline() -> Pipeline:
    config = Config(
        select=SelectConfig(min_side=64),
        gate=GateConfig(enabled=False),
        results=ResultsConfig(summary=False, heatmaps="none"),
    )
    return Pipeline(config=config, reader=_Reader(), clock=lambda: datetime(2026, 1, 2, tzinfo=UTC))


@cache
def _node() -> Receiver:
    _OPEN.callback(setattr, threading, "excepthook", threading.excepthook)
    threading.excepthook = _Threads.note
    return _OPEN.enter_context(
        receiver(_folder(), MemoryStore(), max_associations=500, artim_seconds=2.0)
    )


_OPEN = ExitStack()


def close() -> None:
    """Stop the receiver that a target started."""
    _OPEN.close()
    _node.cache_clear()
