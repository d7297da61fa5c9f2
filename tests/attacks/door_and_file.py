"""Attacks on the web page, and by the configuration file that a reload reads."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from attacks.target import Outcome, Target, becomes, small, store, target
from support.peer import free_port

_SILENT = 900  # sockets; most systems let one process have 1024
_LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
_FILES: dict[str, Callable[[Path], object]] = {
    "an impossible date": lambda path: path.write_text("node: {port: 2026-99-99}\n"),
    "aliases of aliases": lambda path: path.write_text(_LAUGHS),
    "brackets without end": lambda path: path.write_text("node: " + "[" * 100_000),
    "a list that holds itself": lambda path: path.write_text("destinations: &a [*a]\n"),
    "bytes that are no text": lambda path: path.write_bytes(b"\0\x1b[2J\xff"),
    "a named pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


def slow_page(folder: Path) -> Iterator[Outcome]:
    """Silent sockets on the web page's port, and requests that never end."""
    with target(folder, http={"port": (port := free_port())}) as node, ExitStack() as held:
        becomes(lambda: _healthy(port), 30)
        for number in range(_SILENT):
            with suppress(OSError):
                peer = held.enter_context(socket.create_connection(("127.0.0.1", port), 2))
                if number % 2:
                    peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-")
        yield Outcome(
            attack=f"{_SILENT} silent sockets on the web page",
            held=becomes(lambda: _healthy(port), 10) and store(node.port, small()) == [0],
            said="the page answers" if _healthy(port) else "the page is closed",
        )


def hostile_reload(folder: Path) -> Iterator[Outcome]:
    """A configuration file that is a bomb, a pipe or a device, and then a reload."""
    with target(folder) as node:
        supervisor = node.pids()["supervisor"]
        for name, put in _FILES.items():
            yield _reloaded(node, supervisor, name, put)


def _reloaded(node: Target, supervisor: int, name: str, put: Callable[[Path], object]) -> Outcome:
    """Reload, and say whether the node refused the file and still works."""
    kept = node.config.rename(node.config.with_suffix(".kept"))
    put(node.config)
    before, began = _refusals(node), time.monotonic()
    os.kill(supervisor, signal.SIGHUP)
    refused = becomes(lambda: _refusals(node) > before, 20)
    seconds = time.monotonic() - began
    kept.replace(node.config)
    works = store(node.port, small()) == [0] and node.pids().get("supervisor") == supervisor
    said = f"refused after {seconds:.1f} s" if refused else "not refused"
    return Outcome(attack=f"reload: {name}", held=refused and works, said=said)


def _refusals(node: Target) -> int:
    return int(node.sql("SELECT count(*) FROM audit WHERE kind = 'config-refused'")[0][0])


def _healthy(port: int) -> bool:
    with (
        suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer,
    ):
        return bool(answer.status == 200)
    return False
