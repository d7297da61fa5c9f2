"""TLS contexts by PS3.15 B.12 (BCP 195: RFC 8996, RFC 9325), and why a handshake failed.

A new context is made whenever a file changes. Reloading the old one would not do: an authority that
was removed from the file must not be trusted any longer, and a context can only add authorities.
"""

from __future__ import annotations

import os
import ssl
import threading
from typing import TYPE_CHECKING, TypeAlias, cast

from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

    from dicom_node.config import TlsConfig, TlsProfile

#: For TLS 1.2 the suites that RFC 9325 4.2 recommends; for TLS 1.3 OpenSSL's default. Security
#: level 2 asks for RSA keys of 2048 bits, elliptic curves of 224 bits or more.
CIPHERS = (
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=2"
)
LOWEST: dict[TlsProfile, ssl.TLSVersion] = {
    "bcp195": ssl.TLSVersion.TLSv1_2,
    "bcp195-tls13": ssl.TLSVersion.TLSv1_3,
}
#: Their names for people.
PROFILES: dict[TlsProfile, str] = {
    "bcp195": "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12)",
    "bcp195-tls13": "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12), "
    "TLS 1.3 only",
}

# Part of OpenSSL's reason -> what it means here; the first match counts.
_MEANINGS = (
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "the peer shows no certificate"),
    ("WRONG_VERSION_NUMBER", "the peer does not speak TLS"),
    ("HTTP_REQUEST", "the peer speaks HTTP"),
    ("UNSUPPORTED_PROTOCOL", "the peer's TLS version is older than the profile allows"),
    ("NO_PROTOCOLS_AVAILABLE", "the peer's TLS version is older than the profile allows"),
    ("VERSION_TOO_LOW", "the peer's TLS version is older than the profile allows"),
    ("ALERT_PROTOCOL_VERSION", "the peer does not speak the TLS versions of our profile"),
    ("NO_SHARED_CIPHER", "no cipher suite in common with the peer"),
    ("ALERT_HANDSHAKE_FAILURE", "the peer refuses: no cipher in common, or it wants a certificate"),
    ("CERTIFICATE_REQUIRED", "the peer wants a certificate from us (mutual TLS)"),
    ("ALERT_UNKNOWN_CA", "the peer does not know who signed our certificate"),
    ("ALERT_CERTIFICATE_EXPIRED", "the peer says that our certificate has expired"),
    ("CERTIFICATE", "the peer refuses our certificate"),  # every other alert about it
    ("UNEXPECTED_EOF", "the peer hung up during the TLS handshake"),
)

_SHORT = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU"}

_Subject: TypeAlias = tuple[tuple[tuple[str, str], ...], ...]
_Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]


def passphrase(config: TlsConfig, environment: Mapping[str, str] = os.environ) -> str | None:
    """The key's passphrase, from its file or variable; None if the key is not encrypted."""
    if config.passphrase_env is not None:
        if config.passphrase_env not in environment:
            raise ConfigError(f"tls.passphrase_env: {config.passphrase_env} is not set")
        return environment[config.passphrase_env]
    if config.passphrase_file is None:
        return None
    try:
        return config.passphrase_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"tls.passphrase_file: {config.passphrase_file}: {error}") from error


def server_context(config: TlsConfig) -> ssl.SSLContext:
    """The context for peers that call us; raises ConfigError if a file is missing or wrong."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, config)
    if config.mutual:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(config: TlsConfig) -> ssl.SSLContext:
    """The context for peers that we call: certificate and name are always checked.

    Raises ConfigError if a file is missing or wrong.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, config)


def _context(protocol: int, config: TlsConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = LOWEST[config.profile]
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    secret = passphrase(config)
    try:
        if config.ca_file is not None:
            context.load_verify_locations(config.ca_file)
        if config.certificate_file is not None:
            # Without the empty default OpenSSL would ask for it on the terminal, and wait.
            context.load_cert_chain(config.certificate_file, config.key_file, secret or "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(f"tls: {_why_not_loaded(config, error)}") from error
    return context


def _why_not_loaded(config: TlsConfig, error: Exception) -> str:
    for path in _files(config):
        if not path.is_file():
            return f"{path} does not exist"
        if not os.access(path, os.R_OK):
            return f"{path} cannot be read"
    reason = getattr(error, "reason", None) or ""
    if "KEY_VALUES_MISMATCH" in reason:
        return f"{config.key_file} is not the key of {config.certificate_file}"
    if not reason and config.key_file and b"ENCRYPTED" in config.key_file.read_bytes():
        return f"the passphrase does not open {config.key_file}"
    names = ", ".join(str(path) for path in _files(config))
    return f"one of {names} cannot be used ({reason or type(error).__name__})"


def _files(config: TlsConfig) -> list[Path]:
    candidates = (config.certificate_file, config.key_file, config.ca_file)
    return [path for path in candidates if path is not None]


class ReloadingContext:
    """A server's context that follows its files; while they are wrong, the last good one is used.

    Parameters
    ----------
    config
        Names the files. They must be right at the start, else ConfigError is raised.
    """

    def __init__(self, config: TlsConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._stamp = self._stat()
        self._context = server_context(config)

    def current(self) -> tuple[ssl.SSLContext, str | None]:
        """The context for the next connection, and the outcome of a reload.

        Returns
        -------
        ssl.SSLContext
            To be used for the next connection.
        str or None
            None if the files have not changed, "" if they were loaded, else why they were not.
        """
        with self._lock:
            stamp = self._stat()
            if stamp == self._stamp:
                return self._context, None
            self._stamp = stamp
            try:
                self._context = server_context(self._config)
            except ConfigError as error:
                return self._context, str(error)
            return self._context, ""

    def _stat(self) -> _Stamp:
        config = self._config
        return tuple(_stamp(path) for path in (*_files(config), config.passphrase_file) if path)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino


def subject_of(connection: socket.socket) -> str:
    """The subject of the peer's certificate, as CN=..., O=...; empty if it showed none."""
    return ", ".join(f"{_SHORT.get(name, name)}={value}" for name, value in _subject(connection))


def common_name_of(connection: socket.socket) -> str:
    """The common name of the peer's certificate; empty if there is none, or more than one."""
    names = [value for name, value in _subject(connection) if name == "commonName"]
    return names[0] if len(names) == 1 else ""


def _subject(connection: socket.socket) -> list[tuple[str, str]]:
    """The attributes of the subject, with ? for what a log cannot show."""
    shown = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    parts = cast("_Subject", shown["subject"]) if shown else ()
    return [
        (name, "".join(c if c.isprintable() else "?" for c in value))
        for part in parts
        for name, value in part
    ]


def meaning(error: OSError) -> str:
    """Describe a failed handshake; nothing is quoted from the peer's bytes."""
    if isinstance(error, TimeoutError):
        return "the TLS handshake took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        for part, words in _MEANINGS:
            if part in reason or (part == "UNEXPECTED_EOF" and isinstance(error, ssl.SSLEOFError)):
                return words
        return f"the TLS handshake failed ({reason or 'no reason given'})"
    return "the connection broke during the TLS handshake"
