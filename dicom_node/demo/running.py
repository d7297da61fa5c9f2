"""A node as a process of its own, on loopback, for as long as a demonstration lasts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_node.config.loading import PREFIX
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE_SECONDS = 180.0
_POLL_SECONDS = 0.25
_QUOTED_LINES = 5


def free_port() -> int:
    """A TCP port that is free right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running_node(config: Path, log: Path) -> Iterator[Running]:
    """Run a node with this configuration alone, and stop it in the end."""
    command = [sys.executable, "-m", "dicom_node", "run", "--config", str(config)]
    own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    with log.open("wb") as stream:
        node = subprocess.Popen(command, stdout=stream, stderr=stream, env=own)  # noqa: S603
        try:
            yield Running(node, log)
        finally:
            node.terminate()
            node.wait(PATIENCE_SECONDS)


@dataclass(frozen=True, slots=True)
class Running:
    """A node's process and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait(
        self, condition: Callable[[], object], failure: str, seconds: float = PATIENCE_SECONDS
    ) -> None:
        """As `wait`, but not for a node that has ended; a failure quotes the end of its log."""
        try:
            wait(lambda: self._lives() and condition(), failure, seconds)
        except NodeError as error:
            said = self.log.read_text(errors="replace").splitlines()[-_QUOTED_LINES:]
            raise NodeError("\n".join([f"{error}, which ends with:", *said])) from error

    def _lives(self) -> bool:
        if (status := self.process.poll()) is not None:
            raise NodeError(f"the node ended with status {status}; see node.log")
        return True


def wait(condition: Callable[[], object], failure: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as the condition holds; raise NodeError if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NodeError(f"{failure} within {seconds:.0f} s; see node.log")
        time.sleep(_POLL_SECONDS)
