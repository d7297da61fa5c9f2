"""Debian's haproxy with the configuration that the node ships."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.peer import free_port


def _program() -> str | None:
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


HAPROXY = _program()
_CONFIG = Path(__file__).parents[2] / "docker" / "haproxy.cfg"


@dataclass
class Balancer:
    """HAProxy before two receivers of this machine; `kill` and `start` as a machine's end does."""

    port: int  # that peers call
    receivers: Sequence[int]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it."""
        named = {"RECEIVERS_PORT": f"127.0.0.1:{self.port}"}
        for name, port in zip(("RECEIVER_ONE", "RECEIVER_TWO"), self.receivers, strict=True):
            named[name] = f"127.0.0.1:{port}"
        program = _program()  # `make interop` may have installed it by now
        assert program is not None
        self.process = subprocess.Popen(
            [program, "-f", str(_CONFIG)], env={**os.environ, **named},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self) -> None:
        """End it with every connection that it forwards."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)


@contextmanager
def balancer(ports: Sequence[int]) -> Iterator[Balancer]:
    """Run it before two receivers of this machine."""
    made = Balancer(free_port(), ports)
    made.start()
    try:
        yield made
    finally:
        made.kill()
