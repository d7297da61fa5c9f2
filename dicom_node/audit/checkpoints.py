"""Checkpoints of the audit log: a line number and its hash, written outside the database.

Each line's hash covers all lines before it, so one checkpoint covers everything up to its line. An
audit log that was cut off at the end, or rewritten from some line on, still has a valid chain; only
a checkpoint reveals it. Signed checkpoints (Ed25519) cannot be forged without the key.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from dicom_node.dicom.files import durable_append
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dicom_node.config import Config

FILE_NAME = "audit-checkpoints.jsonl"


class Chain(Protocol):
    """What checkpoints need of the audit log."""

    def head(self) -> tuple[int, str]:
        """Number and hash of the last line; 0 and zeros if the log is empty."""

    def hash_at(self, sequence: int) -> str | None:
        """Hash of a line, or None if there is no such line."""

    def verify(self, after: int = 0) -> list[str]:
        """Walk the chain after a line; return a sentence for each line that was tampered with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Line ``sequence`` of the audit log had this hash at this time."""

    sequence: int
    hash: str
    at: str  # ISO 8601, UTC
    signature: str | None = None  # base64, Ed25519 over `signed`

    @property
    def signed(self) -> bytes:
        """What a signature covers."""
        return f"{self.sequence}\n{self.hash}\n{self.at}".encode()


def folder(config: Config) -> Path:
    """Where checkpoints are written; best on another disk than the data folder."""
    return config.audit.checkpoint_dir or config.node.data_dir / "checkpoints"


def write(chain: Chain, config: Config, now: datetime) -> Checkpoint | None:
    """Append a checkpoint of the last audit line; None if there is no new line.

    Raises
    ------
    ConfigError
        The signing key cannot be used.
    OSError
        The folder cannot be written.
    """
    path = folder(config) / FILE_NAME
    sequence, head = chain.head()
    last = max((each.sequence for each in _read(path) if isinstance(each, Checkpoint)), default=0)
    if sequence == 0 or sequence == last:
        return None
    made = Checkpoint(sequence=sequence, hash=head, at=now.astimezone(UTC).isoformat())
    if config.audit.signing_key_file is not None:
        signature = _signing_key(config.audit.signing_key_file).sign(made.signed)
        made = Checkpoint(
            sequence=made.sequence, hash=made.hash, at=made.at,
            signature=base64.b64encode(signature).decode(),
        )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {name: getattr(made, name) for name in Checkpoint.__slots__}
    durable_append(path, json.dumps(values).encode() + b"\n")
    return made


def problems(chain: Chain, config: Config) -> list[str]:
    """Compare the audit log with its checkpoints; return a sentence for each contradiction.

    Raises
    ------
    ConfigError
        A key file cannot be used.
    """
    key, found, last = _verifying_key(config), [], 0
    for number, each in enumerate(_read(folder(config) / FILE_NAME), 1):
        if isinstance(each, str):
            found.append(f"checkpoint {number}: {each}")
            continue
        if key is not None and not _is_signed(each, key):
            found.append(f"checkpoint {number}: its signature is missing or wrong")
        if each.sequence <= last:
            found.append(f"checkpoint {number}: the audit log was shorter than at the one before")
        last = each.sequence
        now = chain.hash_at(each.sequence)
        if now is None:
            found.append(f"line {each.sequence}: missing, but checkpoint {number} recorded it")
        elif now != each.hash:
            found.append(f"line {each.sequence}: not the one that checkpoint {number} recorded")
    return found


def count(config: Config) -> int:
    """How many checkpoints there are."""
    return sum(1 for _ in _read(folder(config) / FILE_NAME))


def last_valid_checkpoint(chain: Chain, config: Config) -> Checkpoint | None:
    """The last checkpoint before the first one that the audit log contradicts.

    It is signed if a key is configured. It covers every line up to its own; the lines after it are
    only chained. A checkpoint after a contradicted one proves nothing even if it agrees: it was
    made from the rewritten lines.
    """
    key = _verifying_key(config)
    signed = (
        each
        for each in _read(folder(config) / FILE_NAME)
        if isinstance(each, Checkpoint) and (key is None or _is_signed(each, key))
    )
    agreeing = takewhile(lambda each: chain.hash_at(each.sequence) == each.hash, signed)
    return max(agreeing, key=lambda each: each.sequence, default=None)


def alert(found: Sequence[str], **more: object) -> AuditEvent:
    """Make the audit event that reports what was found wrong with the audit log."""
    rest = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    detail = {"reason": f"audit log: {found[0]}{rest}", **more}
    return AuditEvent(kind=AuditKind.AUDIT_BROKEN, detail=detail)


def _read(path: Path) -> Iterator[Checkpoint | str]:
    """Each line of the file: a checkpoint, or a sentence that says what is wrong with it."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                values = json.loads(line)
                yield Checkpoint(
                    sequence=int(values["sequence"]), hash=str(values["hash"]),
                    at=str(values["at"]), signature=values.get("signature"),
                )  # fmt: skip
            except (ValueError, TypeError, KeyError, AttributeError):
                yield "cannot be read"


def _is_signed(checkpoint: Checkpoint, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(base64.b64decode(checkpoint.signature or ""), checkpoint.signed)
    except (InvalidSignature, binascii.Error, TypeError):
        return False
    return True


def _signing_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"audit.signing_key_file: {path}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"audit.signing_key_file: {path} is not an Ed25519 key")
    return key


def _verifying_key(config: Config) -> Ed25519PublicKey | None:
    """The configured public key, or that of the signing key; None if nothing is signed."""
    path = config.audit.public_key_file
    if path is None:
        private = config.audit.signing_key_file
        return None if private is None else _signing_key(private).public_key()
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"audit.public_key_file: {path}: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"audit.public_key_file: {path} is not an Ed25519 key")
    return key
