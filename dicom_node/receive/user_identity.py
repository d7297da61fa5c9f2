"""User identity negotiation (PS3.7 D.3.3.7): a user name and a passcode from a secrets file."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from pathlib import Path

    from pynetdicom.pdu_primitives import UserIdentityNegotiation

_NAME_AND_PASSCODE = 2  # User Identity Type, PS3.7 Table D.3-14

log = structlog.get_logger()


class Users:
    """Who may call, by name and passcode; without a file everybody may.

    The file has a line ``name:passcode`` for each user. It is read at each association, so that it
    can be changed while the node runs. Where it cannot be read nobody gets in.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def welcome(self, shown: UserIdentityNegotiation | None) -> bool:
        """Whether a caller who shows this identity may come in."""
        if self._path is None:
            return True
        if shown is None or shown.user_identity_type != _NAME_AND_PASSCODE:
            return False
        name, passcode = bytes(shown.primary_field or b""), bytes(shown.secondary_field or b"")
        known = self._known(self._path).get(name)
        # Compared in constant time, also for a name nobody has.
        return hmac.compare_digest(known or b"", passcode) and bool(known)

    def _known(self, path: Path) -> dict[bytes, bytes]:
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            log.error("node.users_file cannot be read", reason=error.strerror)
            return {}
        pairs = (line.partition(b":") for line in lines if b":" in line)
        return {name.strip(): passcode for name, _, passcode in pairs}
