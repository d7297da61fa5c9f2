"""Locks on UIDs, held against every thread and process that keeps objects in a data folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COUNT = 64  # two UIDs may share one, and wait a few milliseconds


class UidLocks:
    """A fixed number of locks that UIDs share.

    The receiver keeps what arrives, and `dicom-node backfill` keeps what it fetches beside it: the
    threads of a process are kept apart by locks in memory, processes by locks on files.

    Parameters
    ----------
    folder
        Of the lock files; it must exist when a lock is held.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = [threading.Lock() for _ in range(_COUNT)]

    @contextmanager
    def held(self, *uids: str) -> Iterator[None]:
        """Hold the locks of these UIDs; raises OSError if the lock files cannot be used.

        They are taken in the order of their numbers, so that no two holders wait for each other.
        """
        numbers = sorted({_number(uid) for uid in uids})
        with ExitStack() as stack:
            for number in numbers:
                stack.enter_context(self._threads[number])
            for number in numbers:
                stack.enter_context(_locked(self._folder / f"{number:02}.lock"))
            yield


def _number(uid: str) -> int:
    return hashlib.sha256(uid.encode()).digest()[0] % _COUNT


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
