"""Debian's haproxy with the configuration that the node ships."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.peer import free_port

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
_CONFIG = Path(__file__).parents[2] / "docker" / "haproxy.cfg"


@contextmanager
def balancer(ports: Sequence[int]) -> Iterator[int]:
    """Run it before two receivers of this machine; yields the port that peers call."""
    front = free_port()
    named = {"RECEIVERS_PORT": f"127.0.0.1:{front}"}
    for name, port in zip(("RECEIVER_ONE", "RECEIVER_TWO"), ports, strict=True):
        named[name] = f"127.0.0.1:{port}"
    assert HAPROXY is not None
    process = subprocess.Popen(
        [HAPROXY, "-f", str(_CONFIG)], env={**os.environ, **named},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield front
    finally:
        process.terminate()
        process.wait(10)
