"""The receivers that are compared, each as a process with its own folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from bench.sender import Sender
from pydicom.uid import ComputedRadiographyImageStorage
from support.peer import free_port
from support.running import COMMAND

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A running storage SCP."""

    name: str
    ae_title: str
    port: int
    pid: int
    start_seconds: float  # until the first association was accepted


def tool(name: str) -> str | None:
    """The path of a program, or None if it is not installed."""
    return shutil.which(name, path=_PATH)


@contextmanager
def node(folder: Path) -> Iterator[Receiver]:
    """Our receiver alone, with its spool and its database."""
    with _node(folder, {"data_dir": str(folder / "data")}, {}) as receiver:
        yield receiver


@contextmanager
def member(shared: Path, name: str, url: str) -> Iterator[Receiver]:
    """Our receiver as one machine of a cluster; all share a folder and a database."""
    (folder := shared / name).mkdir()
    node = {"data_dir": str(shared / "data"), "member": name}
    with _node(folder, node, {"store": {"url": url}}) as receiver:
        yield receiver


@contextmanager
def _node(folder: Path, node: dict[str, str], sections: dict[str, object]) -> Iterator[Receiver]:
    port, config = free_port(), folder / "config.yaml"
    values = {"node": {"host": "127.0.0.1", "port": port, **node}, **sections}
    config.write_text(yaml.safe_dump(values))
    command = [
        str(COMMAND), "role", "receiver", "--owner", "receiver-1", "--supervisor",
        str(os.getpid()), "--config", str(config),
    ]  # fmt: skip
    with _running("this node", "DICOM_NODE", port, command, folder) as receiver:
        yield receiver


@contextmanager
def storescp(folder: Path) -> Iterator[Receiver]:
    """DCMTK's: one process per association, bytes as received, without waiting for the disk."""
    port, program = free_port(), tool("storescp")
    assert program is not None
    (folder / "received").mkdir()
    command = [program, "--fork", "+B", "-od", str(folder / "received"), str(port)]
    with _running("storescp +B", "STORESCP", port, command, folder) as receiver:
        yield receiver


@contextmanager
def orthanc(folder: Path) -> Iterator[Receiver]:
    """Orthanc with its default settings: it syncs each file before it answers."""
    port, program = free_port(), tool("Orthanc")
    assert program is not None
    config = folder / "orthanc.json"
    config.write_text(json.dumps({
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomPort": port,
        "HttpPort": free_port(),
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
        "SyncStorageArea": True,
        "RemoteAccessAllowed": False,
        "Plugins": [],
    }))  # fmt: skip
    with _running("Orthanc", "ORTHANC", port, [program, str(config)], folder) as receiver:
        yield receiver


@contextmanager
def _running(
    name: str, ae_title: str, port: int, command: Sequence[str], folder: Path
) -> Iterator[Receiver]:
    began = time.perf_counter()
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_until_it_answers(process, ae_title, port, folder)
        spent = time.perf_counter() - began
        yield Receiver(
            name=name, ae_title=ae_title, port=port, pid=process.pid, start_seconds=spent
        )
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], ae_title: str, port: int, folder: Path
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            Sender(port, ae_title, [ComputedRadiographyImageStorage]).release()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                log = (folder / "log.txt").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{process.args!r} does not answer:\n{log}") from None
            time.sleep(0.02)
        else:
            return
