"""Passcodes as they lie in `node.users_file`: hashed with scrypt (RFC 7914)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading

_LOG_COST, _BLOCK, _PARALLEL = 14, 8, 1  # N = 2**14: 16 MiB and about 50 ms for each attempt
_MOST_LOG_COST = 18
_PREFIX = b"$scrypt$"

#: One at a time: attempts of many callers together take no more memory than one.
_turn = threading.Lock()


def hashed(passcode: str) -> str:
    """The line part for a passcode: ``$scrypt$ln=14,r=8,p=1$salt$hash``, base64 without padding."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(passcode.encode(), salt, _LOG_COST, _BLOCK, _PARALLEL)
    return f"$scrypt$ln={_LOG_COST},r={_BLOCK},p={_PARALLEL}${_text(salt)}${_text(digest)}"


def is_hashed(stored: bytes) -> bool:
    """Whether this is a hash, and not a passcode in plain text."""
    return stored.startswith(_PREFIX)


def matches(passcode: bytes, stored: bytes) -> bool:
    """Whether the passcode is the stored one; False for a hash that cannot be read."""
    if not is_hashed(stored):
        return hmac.compare_digest(passcode, stored)
    try:
        _, _, costs, salt, digest = stored.decode("ascii").split("$")
        cost, block, parallel = (int(each.partition("=")[2]) for each in costs.split(","))
        if not 1 <= cost <= _MOST_LOG_COST:
            return False
        found = _scrypt(passcode, _bytes(salt), cost, block, parallel)
        return hmac.compare_digest(found, _bytes(digest))
    except (ValueError, UnicodeDecodeError, binascii.Error, MemoryError):
        return False


def _scrypt(passcode: bytes, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    with _turn:
        return hashlib.scrypt(
            passcode, salt=salt, n=2**cost, r=block, p=parallel, maxmem=2**29, dklen=32
        )


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
