"""Names the places between two durable steps, where the crash tests kill a process (ADR 0016)."""

from __future__ import annotations


def fail_point(name: str) -> None:
    """Pass a place of this name: nothing happens. ``tests/crash/stand_in`` replaces this."""
