"""Limits of the receiver that are not in the configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many connections may be silent, and how soon a hanging association is cut.

    Parameters
    ----------
    silent
        Connections at a time without an association, or in a TLS handshake; each takes a thread
        or two.
    check_seconds
        Time between two checks of all associations.
    grace_checks
        An association is cut after it was found hanging in more checks in a row than these:
        pynetdicom's own timers get two seconds to end it with an A-ABORT.
    """

    silent: int = 256
    check_seconds: float = 0.25
    grace_checks: int = 8
