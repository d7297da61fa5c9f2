"""The installed command as a process: a node on loopback that tests may kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from support.peer import free_port

from dicom_node.config import Destination, DicomDestination
from dicom_node.deliver.scu import StoreSender
from dicom_node.service.pidfile import processes
from dicom_node.store.status import Status, read_status

COMMAND = Path(sys.executable).with_name("dicom-node")
_TESTS = Path(__file__).parents[1]
#: The environment of a node whose networks are a stand-in: it starts faster by some ten seconds.
STAND_IN = {
    "PYTHONPATH": os.pathsep.join(map(str, (_TESTS / "crash/stand_in", _TESTS, _TESTS.parent)))
}


@dataclass(slots=True)
class RunningNode:
    """A running node; `cli` speaks to it as an administrator would."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    wrapper: tuple[str, ...] = ()  # a command that starts the node in its stead
    environment: Mapping[str, str] = field(default_factory=dict)  # beside the test's own

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, COMMAND, "run", "--config", self.config],
                stdout=log, stderr=log, env={**os.environ, **self.environment},
            )  # fmt: skip
        self.wait_until(self.answers)

    def answers(self) -> bool:
        return self.sender().echo("node").ok

    def sender(self) -> StoreSender:
        node = DicomDestination(
            name="node", ae_title="DICOM_NODE", host="127.0.0.1", port=self.port
        )
        return StoreSender("MODALITY", [node], timeout_seconds=20.0)

    def send(self, paths: Sequence[Path]) -> list[int | None]:
        return [answer.status for answer in self.sender().send("node", paths)]

    def stop(self, seconds: float = 60) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self, name: str) -> int:
        """SIGKILL one process of the node, e.g. "worker-1", or "supervisor"; returns its PID."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def pids(self) -> dict[str, int]:
        return processes(self.data_dir)

    def status(self) -> Status:
        """Read the counts in this process: to start the command takes half a second each time."""
        return read_status(self.data_dir)

    def delivered(self, objects: int) -> bool:
        """Whether the destination `pacs` took so many results, and none waits."""
        counts = self.status()["deliveries"].get("pacs", {})
        return set(counts) <= {"accepted", "committed"} and sum(counts.values()) >= objects

    def cli(self, *words: str) -> Any:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *words, "--config", self.config], capture_output=True, text=True, check=False
        )

    def wait_until(self, true: Callable[[], object], seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError("waited too long; the node's log:\n" + self.log()[-6000:])
            time.sleep(0.1)

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()


@contextmanager
def running_node(
    folder: Path,
    destinations: Sequence[Destination],
    *,
    wrapper: tuple[str, ...] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
    called_at: int | None = None,
    **sections: Any,
) -> Iterator[RunningNode]:
    """Start a node over ``folder``; whatever the test did, none of its processes outlives it.

    ``called_at`` is the port of a balancer before it, if there is one.
    """
    port = called_at or free_port()
    node = RunningNode(folder, port, wrapper=wrapper, environment=environment)
    values: dict[str, Any] = {
        "node": {"host": "127.0.0.1", "port": node.port, "data_dir": str(node.data_dir)},
        "destinations": [destination.model_dump(mode="json") for destination in destinations],
        "study": {"quiet_seconds": 0.5},
        "delivery": {"first_retry_seconds": 0.5, "max_retry_seconds": 2.0},
    }
    for section, keys in sections.items():
        values[section] = {**values.get(section, {}), **keys}
    node.config.write_text(yaml.safe_dump(values))
    try:
        node.start()
        yield node
    finally:
        if node.process is not None and node.process.poll() is None:
            node.stop(120)
