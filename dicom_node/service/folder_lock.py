"""One node over one data folder, held by two locks.

``supervisor.lock`` is the supervisor's own. ``node.lock`` is inherited by every process of the
node: it stays taken until the last of them has ended.
"""

from __future__ import annotations

import fcntl
import time
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING

import structlog

from dicom_node.errors import NodeError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

_POLL_SECONDS = 0.2
_WAIT_SECONDS = 90.0  # processes of a killed supervisor notice within a second, then drain

log = structlog.get_logger()


@contextmanager
def only_node(data_dir: Path, stop: threading.Event) -> Iterator[IO[str]]:
    """Hold the data folder; yields the lock that the node's processes inherit.

    If the supervisor of another node was killed and its processes are still at work, wait for them.

    Raises
    ------
    NodeError
        Another node runs over the folder, or the folder cannot be written.
    """
    with ExitStack() as files:
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            own, shared = (
                files.enter_context((data_dir / name).open("w"))
                for name in ("supervisor.lock", "node.lock")
            )
        except OSError as error:
            raise NodeError(f"{data_dir} cannot be used: {error} (node.data_dir)") from error
        if not _taken(own):
            raise NodeError(
                f"another node runs over {data_dir}: stop it, or set another node.data_dir"
            )
        _wait_for(shared, data_dir, stop)
        yield shared


def _wait_for(lock: IO[str], data_dir: Path, stop: threading.Event) -> None:
    """Take the lock as soon as the last process of a killed supervisor has ended."""
    if _taken(lock):
        return
    log.warning(
        "processes of a killed node still use the data folder; waiting for them",
        data_dir=str(data_dir), longest_seconds=_WAIT_SECONDS,
    )  # fmt: skip
    deadline = time.monotonic() + _WAIT_SECONDS
    while not _taken(lock):
        if time.monotonic() > deadline or stop.wait(_POLL_SECONDS):
            raise NodeError(f"processes of another node still use {data_dir}")


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
