"""Describe certificates: subject, names, issuer, expiry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.config import TlsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInfo:
    """A certificate of a PEM file."""

    file: str
    subject: str
    issuer: str
    names: tuple[str, ...]  # Subject Alternative Names
    key: str
    not_before: datetime
    not_after: datetime

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; negative if it has expired."""
        return (self.not_after - now) // timedelta(days=1)


def read(path: Path) -> list[x509.Certificate]:
    """Read every certificate of a PEM file; raises ConfigError if there is none."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} holds no certificate in PEM form") from error


def describe(path: Path) -> list[CertificateInfo]:
    """Describe every certificate of a PEM file, in its order."""
    return [_describe(path, certificate) for certificate in read(path)]


def described(der: bytes, source: str) -> CertificateInfo:
    """Describe a certificate in DER form; ``source`` says where it came from."""
    return _describe(source, x509.load_der_x509_certificate(der))


def chain_of(config: TlsConfig) -> tuple[str, ...]:
    """The subjects from our certificate up to its authority.

    If an issuer is not in our files, the last entry names it.
    """
    if config.certificate_file is None:
        return ()
    own, *between = read(config.certificate_file)
    pool = [*between, *(read(config.ca_file) if config.ca_file else [])]
    chain = [own]
    while not _signed_by(chain[-1], chain[-1]):
        issuer = next((each for each in pool if _signed_by(chain[-1], each)), None)
        if issuer is None or issuer in chain:
            missing = f"(not in our files: {chain[-1].issuer.rfc4514_string()})"
            return (*(each.subject.rfc4514_string() for each in chain), missing)
        chain.append(issuer)
    return tuple(each.subject.rfc4514_string() for each in chain)


def expiring(config: TlsConfig, now: datetime) -> list[str]:
    """A sentence for each certificate that has expired, or will within `tls.warn_days`."""
    sentences = []
    for path in filter(None, (config.certificate_file, config.ca_file)):
        try:
            certificates = describe(path)
        except ConfigError as error:
            sentences.append(str(error))
            continue
        for each in certificates:
            days = each.days_left(now)
            if days < 0:
                sentences.append(f"{path}: {each.subject} expired on {each.not_after:%Y-%m-%d}")
            elif days < config.warn_days:
                sentences.append(f"{path}: {each.subject} expires in {days} days")
    return sentences


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _describe(path: Path | str, certificate: x509.Certificate) -> CertificateInfo:
    return CertificateInfo(
        file=str(path),
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=_names(certificate),
        key=_key(certificate),
        not_before=certificate.not_valid_before_utc.astimezone(UTC),
        not_after=certificate.not_valid_after_utc.astimezone(UTC),
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(str(name.value) for name in names)


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return f"EC {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else "other"
