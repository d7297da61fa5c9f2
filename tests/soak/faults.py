"""The faults of a soak, one after the other until it ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from soak.load import Node

from dicom_node.service.pidfile import processes

_QUIET_SECONDS = 40.0  # between two faults
_FAULT_SECONDS = 20.0
_MORTAL = "worker-2"  # worker-1 is never killed, so that its memory can be measured


@dataclass(slots=True, kw_only=True)
class Faults:
    """A PACS that is down, slow, full or aborts; processes that are killed."""

    node: Node
    data_dir: Path
    seconds: float  # of the run; the deliverer is killed at each third

    def run(self) -> None:
        """Cause faults until the run is over."""
        thirds = [time.monotonic() + self.seconds * part / 3 for part in (1, 2)]
        while True:
            for fault in self._faults():
                if self.node.stop.wait(_QUIET_SECONDS):
                    return
                if thirds and time.monotonic() > thirds[0]:
                    thirds.pop(0)
                    self.kill("deliverer-1")
                fault()

    def _faults(self) -> tuple[Callable[[], None], ...]:
        return (
            self.pacs_down,
            self.kill_decoder,
            self.pacs_slow,
            lambda: self.kill(_MORTAL),
            self.pacs_full,
            self.kill_decoder,
            self.pacs_breaks_off,
        )

    def pacs_down(self) -> None:
        """Nothing listens at its port."""
        self.node.pacs.stop()
        self._lasts("PACS down")
        self.node.pacs.start()

    def pacs_slow(self) -> None:
        """Each answer comes a second late."""
        self.node.pacs.delay_seconds = 1.0
        self._lasts("PACS slow")
        self.node.pacs.delay_seconds = 0.0

    def pacs_full(self) -> None:
        """It refuses objects: out of resources."""
        self.node.pacs.answer = 0xA700
        self._lasts("PACS refuses with 0xA700")
        self.node.pacs.answer = 0x0000

    def pacs_breaks_off(self) -> None:
        """It stores the object and aborts instead of answering."""
        self.node.pacs.breaks_off = True
        self._lasts("PACS stores and aborts")
        self.node.pacs.breaks_off = False

    def kill(self, name: str) -> None:
        """SIGKILL one of the node's processes."""
        pid = processes(self.data_dir).get(name)
        if pid is not None:
            _kill(pid)
            self.node.did[f"fault: {name} killed"] += 1

    def kill_decoder(self) -> None:
        """SIGKILL the decoders of all workers."""
        named = processes(self.data_dir)
        workers = {pid for name, pid in named.items() if name.startswith("worker")}
        for pid in decoders(workers):
            _kill(pid)
            self.node.did["fault: decoder killed"] += 1

    def _lasts(self, name: str) -> None:
        self.node.did[f"fault: {name}"] += 1
        self.node.stop.wait(_FAULT_SECONDS)


def decoders(workers: set[int]) -> list[int]:
    """The decoder processes of these processes."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in workers and b"dicom_node.pixels.decoder_process" in (
                (folder / "cmdline").read_bytes()
            ):
                found.append(int(folder.name))
    return found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
