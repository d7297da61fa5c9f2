"""Networks are loaded only with a signature by the configured key, if there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from dicom_node.config import ModelsConfig
from dicom_node.errors import ModelError
from dicom_node.infer import CascadeReader
from models import signature
from models.manifest import MANIFEST, WeightsError


def keys(folder: Path, name: str) -> tuple[Path, Path]:
    """A private and a public key in files."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a manifest; the signature does not ask what is in it."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / MANIFEST).write_text("version: x\n")
    return tmp_path / "models"


def test_a_signed_manifest_is_accepted_until_a_byte_changes(models: Path, tmp_path: Path) -> None:
    """By the public half of the key that signed it."""
    private, public = keys(tmp_path, "ours")
    signature.sign(models, private)
    signature.check(models, public)
    (models / MANIFEST).write_text("version: y\n")
    with pytest.raises(WeightsError, match="is not signed"):
        signature.check(models, public)


def test_another_key_or_none_is_refused(models: Path, tmp_path: Path) -> None:
    """So is a file that is no key, and a signature that is not base64."""
    private, public = keys(tmp_path, "ours")
    _, other = keys(tmp_path, "other")
    with pytest.raises(WeightsError, match="cannot be read"):
        signature.check(models, public)
    signature.sign(models, private)
    with pytest.raises(WeightsError, match="is not signed"):
        signature.check(models, other)
    with pytest.raises(WeightsError, match="is not a key"):
        signature.check(models, models / MANIFEST)
    (models / signature.SIGNATURE).write_bytes(b"x")
    with pytest.raises(WeightsError, match="is not signed"):
        signature.check(models, public)


def test_the_node_does_not_start_with_networks_of_another_key(models: Path, tmp_path: Path) -> None:
    """The signature is checked before the weights are looked at."""
    private, _ = keys(tmp_path, "ours")
    _, other = keys(tmp_path, "other")
    signature.sign(models, private)
    with pytest.raises(ModelError, match="is not signed"):
        CascadeReader(ModelsConfig(dir=models, public_key=other), threads=1)
