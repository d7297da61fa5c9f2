"""User identity negotiation (PS3.7 D.3.3.7): user name and passcode, checked against a file."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from dicom_node.receive.passcodes import hashed, is_hashed, matches

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_node.receive.association_request import Identity

MOST_FAILURES = 5  # of one address within the time below; then it is locked out for this time
LOCKED_SECONDS = 600.0

NAME_AND_PASSCODE = 2  # User Identity Type, PS3.7 Table D.3-14
_MOST_ADDRESSES = 10000  # remembered

log = structlog.get_logger()


class UserIdentities:
    """The users who may call, by name and passcode; without a file every caller may.

    The file has a line ``name:passcode`` for each user, the passcode hashed by `passcodes.hashed`
    or in plain text. It is read at each association, so that it can be changed while the node runs.
    If it cannot be read, every caller is rejected.
    """

    def __init__(self, path: Path | None, seconds: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._failures = _Failures(seconds)
        self._unknown = hashed("") if path is not None else ""
        if path is not None and (plain := plain_users(path)):
            log.warning("plain text passcodes: hash them with `dicom-node passcode`", users=plain)

    def is_authorised(self, identity: Identity | None, address: str) -> bool:
        """Whether a caller with this identity may open an association."""
        if self._path is None:
            return True
        if self._failures.locks_out(address):
            return False
        if identity is None or identity.kind != NAME_AND_PASSCODE:
            return False  # a wrong configuration, not a guess
        known = self._knows(self._path, identity)
        if not known:
            self._failures.add(address)
        return known

    def is_locked_out(self, address: str) -> bool:
        """Whether callers from this address are rejected whatever they show."""
        return self._path is not None and self._failures.locks_out(address)

    def _knows(self, path: Path, identity: Identity) -> bool:
        known = _known(path).get(identity.primary, b"")
        # An unknown name takes as long as a known one.
        return matches(identity.secondary, known or self._unknown.encode()) and bool(known)


class _Failures:
    """The times of each address's recent failures."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._at: dict[str, list[float]] = {}

    def add(self, address: str) -> None:
        with self._lock:
            if address not in self._at and len(self._at) >= _MOST_ADDRESSES:
                del self._at[next(iter(self._at))]
            self._at.setdefault(address, []).append(self._seconds())

    def locks_out(self, address: str) -> bool:
        with self._lock:
            since = self._seconds() - LOCKED_SECONDS
            recent = [at for at in self._at.pop(address, []) if at > since]
            if recent:
                self._at[address] = recent
            return len(recent) >= MOST_FAILURES


def plain_users(path: Path) -> int:
    """How many users' passcodes are in plain text."""
    return sum(not is_hashed(passcode) for passcode in _known(path).values())


def _known(path: Path) -> dict[bytes, bytes]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        log.error("node.users_file cannot be read", reason=error.strerror)
        return {}
    pairs = (line.partition(b":") for line in lines if b":" in line)
    return {name.strip(): passcode for name, _, passcode in pairs}
