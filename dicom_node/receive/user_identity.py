"""User identity negotiation (PS3.7 D.3.3.7): user name and passcode, checked against a file."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.receive.association_request import Identity

_NAME_AND_PASSCODE = 2  # User Identity Type, PS3.7 Table D.3-14

log = structlog.get_logger()


class UserIdentities:
    """The users who may call, by name and passcode; without a file every caller may.

    The file has a line ``name:passcode`` for each user. It is read at each association, so that it
    can be changed while the node runs. If it cannot be read, every caller is rejected.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def is_authorised(self, identity: Identity | None) -> bool:
        """Whether a caller with this identity may open an association."""
        if self._path is None:
            return True
        if identity is None or identity.kind != _NAME_AND_PASSCODE:
            return False
        name, passcode = identity.primary, identity.secondary
        known = self._known(self._path).get(name)
        # Compared in constant time, for an unknown name too.
        return hmac.compare_digest(known or b"", passcode) and bool(known)

    def _known(self, path: Path) -> dict[bytes, bytes]:
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            log.error("node.users_file cannot be read", reason=error.strerror)
            return {}
        pairs = (line.partition(b":") for line in lines if b":" in line)
        return {name.strip(): passcode for name, _, passcode in pairs}
