"""A hospital's authority and what it signs, made for each test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from dicom_node.config import TlsConfig


@cache
def authority(name: str = "Hospital CA") -> trustme.CA:
    """An authority; the same for the same name."""
    return trustme.CA(organization_name=name)


def identity(
    folder: Path, name: str, ca: trustme.CA | None = None, *, days: int = 100, secret: str = ""
) -> TlsConfig:
    """A certificate for localhost in files of that name, trusting the hospital's authority."""
    signed = (ca or authority()).issue_cert(
        "localhost", "127.0.0.1", common_name=name,
        not_before=datetime.now(UTC) - timedelta(days=200),
        not_after=datetime.now(UTC) + timedelta(days=days, hours=1),
    )  # fmt: skip
    certificate, key, trusted = (folder / f"{name}{end}" for end in (".pem", ".key", ".ca"))
    certificate.write_bytes(b"".join(pem.bytes() for pem in signed.cert_chain_pems))
    content = signed.private_key_pem.bytes()
    if secret:
        content = load_pem_private_key(content, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(secret.encode())
        )
    key.write_bytes(content)
    trusted.write_bytes(authority().cert_pem.bytes())
    return TlsConfig(port=2762, certificate_file=certificate, key_file=key, ca_file=trusted)
