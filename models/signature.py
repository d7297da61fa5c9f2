"""Ed25519 signature of a manifest, which holds the digests of all weights of its folder.

A person who can write to the folder can replace weights and manifest together. The signature, by a
key that is kept elsewhere, shows that they are the released ones.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from models.manifest import MANIFEST, WeightsError

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE = f"{MANIFEST}.sig"


def sign(directory: Path, key_file: Path) -> Path:
    """Sign the manifest of a folder.

    Parameters
    ----------
    directory
        Holds ``manifest.yaml``.
    key_file
        Ed25519 private key, PEM, without a passphrase.

    Returns
    -------
    Path
        ``manifest.yaml.sig`` beside the manifest: the signature, base64.

    Raises
    ------
    WeightsError
        The manifest or the key cannot be used.
    """
    key = _private_key(key_file)
    target = directory / SIGNATURE
    try:
        target.write_bytes(base64.b64encode(key.sign((directory / MANIFEST).read_bytes())) + b"\n")
    except OSError as error:
        raise WeightsError(f"{directory} cannot be signed: {error.strerror}") from error
    return target


def check(directory: Path, key_file: Path) -> None:
    """Compare a folder's manifest with its signature.

    Parameters
    ----------
    directory
        Holds ``manifest.yaml`` and ``manifest.yaml.sig``.
    key_file
        Ed25519 public key, PEM.

    Raises
    ------
    WeightsError
        The signature is missing or not by this key, or the key cannot be used.
    """
    key = _public_key(key_file)
    try:
        signature = base64.b64decode((directory / SIGNATURE).read_bytes())
        key.verify(signature, (directory / MANIFEST).read_bytes())
    except OSError as error:
        raise WeightsError(f"{error.filename} cannot be read ({error.strerror})") from error
    except (InvalidSignature, binascii.Error) as error:
        raise WeightsError(
            f"{directory / MANIFEST} is not signed by the key of models.public_key"
        ) from error


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"{path} is not a key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise WeightsError(f"{path} is not an Ed25519 key")
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a key: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise WeightsError(f"{path} is not an Ed25519 key")
    return key
