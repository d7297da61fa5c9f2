"""A thread for each destination or peer, so that a slow one delays no other."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import structlog

from dicom_node.log import where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MOST = 64  # threads; destinations beyond wait for one

log = structlog.get_logger()


class Lanes:
    """One kind of work, for one destination at a time in each thread.

    Parameters
    ----------
    kind
        For the log.
    due
        The names for which there is work now.
    work
        Does all work of one name; it is never run twice at a time for the same name.
    """

    def __init__(
        self, kind: str, due: Callable[[], Iterable[str]], work: Callable[[str], object]
    ) -> None:
        self._kind = kind
        self._due = due
        self._work = work
        self._lock = threading.Lock()
        self._running: dict[str, Future[object]] = {}
        self._threads = ThreadPoolExecutor(_MOST, thread_name_prefix=kind)

    def start_due(self) -> None:
        """Start the work of every name that is due and has none under way; return at once."""
        for name in self._due():
            with self._lock:
                earlier = self._running.get(name)
                if earlier is not None and not earlier.done():
                    continue
                running = self._running[name] = self._threads.submit(self._work, name)
            running.add_done_callback(self._report)

    def wait(self) -> None:
        """Wait until the work under way is done."""
        with self._lock:
            running = list(self._running.values())
        wait(running)
        self._threads.shutdown()

    def _report(self, done: Future[object]) -> None:
        if (error := done.exception()) is not None:
            log.error("work failed", kind=self._kind, error=where(error))
