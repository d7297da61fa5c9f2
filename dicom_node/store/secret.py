"""The node's secret: made once for a data folder, never sent, logged or printed.

UIDs of results and the digests of patients' identities are derived with it (ADR 0004).
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from dicom_node.dicom.files import sync_folder
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "node.secret"
_SIZE = 32  # bytes


def node_secret(data_dir: Path) -> bytes:
    """Read the secret of a data folder, or make it; NodeError if that fails.

    Several processes may call it at once: the first to link its file decides.
    """
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            _make(path)
        secret = path.read_bytes()
    except OSError as error:
        raise NodeError(f"{path} cannot be used: {error.strerror}") from error
    if len(secret) != _SIZE:
        raise NodeError(f"{path} is damaged: restore it from a backup")
    return secret


def _make(path: Path) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_SIZE))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink()
    sync_folder(path.parent)
