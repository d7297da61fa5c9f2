"""Sections of the configuration that stand for themselves, and their base class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

#: Secure transport profiles: PS3.15 B.12, never below TLS 1.2, and B.12 with TLS 1.3 alone.
TlsProfile = Literal["bcp195", "bcp195-tls13"]
#: SOP class of the Structured Report.
SrClass = Literal["comprehensive_3d", "comprehensive", "enhanced", "basic_text"]
Port = Annotated[int, Field(ge=1, le=65535)]
Quota = Annotated[int, Field(ge=0)] | None
Word = Annotated[str, StringConstraints(min_length=1)]


class Section(BaseModel):
    """A part of the configuration: frozen, and unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsConfig(Section):
    """The node's certificate, the authorities it trusts, and its TLS port.

    The key's passphrase is in a file or an environment variable, never in the configuration, which
    is printed and logged.
    """

    port: Port | None = None
    profile: TlsProfile = "bcp195"
    certificate_file: Path | None = None
    key_file: Path | None = None
    passphrase_file: Path | None = None
    passphrase_env: Word | None = None
    ca_file: Path | None = None
    mutual: bool = True
    warn_days: Annotated[int, Field(ge=0)] = 30

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        if self.passphrase_file and self.passphrase_env:
            raise ValueError("give passphrase_file or passphrase_env, not both")
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file must be given together")
        if self.port is not None and not self.certificate_file:
            raise ValueError("a TLS port needs certificate_file and key_file")
        if self.port is not None and self.mutual and not self.ca_file:
            raise ValueError("mutual TLS needs ca_file: the authority of our peers' certificates")
        return self


class ReceiveConfig(Section):
    """What happens to objects that contradict earlier ones."""

    conflict: Literal["keep-first", "refuse", "read-both"] = "keep-first"
    max_versions: Annotated[int, Field(ge=1)] = 4
    check_patient: bool = True


class QuotasConfig(Section):
    """What one peer (AE title at an address) and one address may send; 0 or None: no limit."""

    window_seconds: Annotated[float, Field(gt=0)] = 3600.0
    peer_mb: Quota = 102400  # MiB
    peer_objects: Quota = 50000
    peer_studies: Quota = 10000
    peer_mpixels: Quota = 500000  # million pixels
    address_mb: Quota = 204800  # MiB
    address_objects: Quota = 100000
    address_studies: Quota = 20000
    address_mpixels: Quota = 1000000  # million pixels
    address_associations: Quota = 48
    association_mpixels: Quota = 200000  # million pixels
    disk_share: Annotated[float, Field(ge=0, lt=1)] | None = 0.8  # of what `spool` leaves free


class RetentionConfig(Section):
    """How long films and results are kept: after delivery, or while a person must decide."""

    days: Annotated[float, Field(gt=0)] | None = 30.0
    stuck_days: Annotated[float, Field(gt=0)] | None = 180.0


class DriftConfig(Section):
    """When the films of a sender count as unlike those of the reference (`dicom-node drift`)."""

    alarm: Annotated[float, Field(gt=0)] = 0.25  # population stability index
    recent_days: Annotated[float, Field(gt=0)] = 7.0  # the films that are compared
    reference_days: Annotated[float, Field(gt=0)] = 30.0  # that `drift freeze` takes


class PriorityConfig(Section):
    """Which films are read first."""

    attribute: Word = "RequestedProcedurePriority"
    stat_values: tuple[str, ...] = ("STAT", "HIGH")
    stat_ae_titles: tuple[str, ...] = ()
    header_from: tuple[str, ...] = ()


class RepositoryConfig(Section):
    """A syslog server that takes DICOM audit messages over TLS, with the files of `tls`."""

    host: Word
    port: Port = 6514
    tls_name: Word | None = None
    patient: Literal["withheld", "id"] = "withheld"
    late_minutes: Annotated[float, Field(gt=0)] = 15.0


class AuditConfig(Section):
    """Checkpoints of the audit log, and a server that receives its lines."""

    checkpoint_dir: Path | None = None
    signing_key_file: Path | None = None
    public_key_file: Path | None = None
    repository: RepositoryConfig | None = None


class StoreConfig(Section):
    """Where the node's state is, and where its films and results are.

    State: a file of the data folder, or a PostgreSQL database. Films and results: the data folder,
    or a bucket, with credentials from the environment or the machine (AWS_ACCESS_KEY_ID and so on).
    """

    url: Annotated[str, Field(pattern=r"^(sqlite$|postgresql\+psycopg://)")] = "sqlite"
    files: Annotated[str, Field(pattern=r"^(folder$|s3://[a-z0-9][a-z0-9.-]+(/[\w.-]+)*/?$)")] = (
        "folder"
    )
    endpoint: Annotated[str, Field(pattern=r"^https?://[^@\s?#]+$")] | None = None
    region: Word | None = None

    @model_validator(mode="after")
    def _check_bucket(self) -> Self:
        if not self.in_bucket and (self.endpoint or self.region):
            raise ValueError("endpoint and region need files: s3://BUCKET/PREFIX")
        if self.in_bucket and self.url == "sqlite":
            raise ValueError("files in a bucket need url: postgresql+psycopg://...")
        return self

    @property
    def in_bucket(self) -> bool:
        """Whether films and results are in a bucket."""
        return self.files != "folder"

    @field_validator("url")
    @classmethod
    def _without_password(cls, url: str) -> str:
        # The URL is printed in messages and in the Conformance Statement.
        if urlsplit(url).password is not None or "password=" in url:
            raise ValueError("holds a password: use PGPASSFILE, PGPASSWORD or a client certificate")
        return url


#: Addresses at which only this machine calls.
LOOPBACK = frozenset({"127.0.0.1", "localhost"})


class HttpConfig(Section):
    """The web page, health and metrics, and who may look.

    On this machine any user may, or those of ``users_file``, or those whose name a reverse proxy
    puts into ``user_header``. On the network only those of ``users_file``, over TLS.
    """

    host: Word = "127.0.0.1"
    port: Port | None = None
    users_file: Path | None = None  # lines name:passcode, as node.users_file
    user_header: Word | None = None  # set by a reverse proxy on this machine
    dicomweb: bool = False  # whether films may come by STOW-RS

    @model_validator(mode="after")
    def _check_access(self) -> Self:
        if self.users_file and self.user_header:
            raise ValueError("give users_file or user_header, not both")
        if self.dicomweb and self.port is None:
            raise ValueError("dicomweb needs port")
        if self.is_local:
            return self
        if self.user_header:
            raise ValueError("user_header needs host 127.0.0.1: others could send it themselves")
        if not self.users_file:
            raise ValueError("host other than 127.0.0.1 needs users_file: who may look")
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine can call."""
        return self.host in LOOPBACK


class WebhookConfig(Section):
    """A web service that takes messages as JSON by HTTP POST."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s]+$")]
    token_file: Path | None = None


class MailConfig(Section):
    """A mail server, and who gets the messages."""

    host: Word
    port: Port = 587
    sender: Word
    recipients: Annotated[tuple[Word, ...], Field(min_length=1)]
    starttls: bool = True
    ca_file: Path | None = None
    user: Word | None = None
    password_file: Path | None = None


class AlertsConfig(Section):
    """Messages about alarms."""

    webhook: WebhookConfig | None = None
    mail: MailConfig | None = None
    after_minutes: Annotated[float, Field(ge=0)] = 5.0
    pause_minutes: Annotated[float, Field(ge=0)] = 15.0


class SpoolConfig(Section):
    """Limits of what is received."""

    min_free_mb: Annotated[int, Field(ge=0)] = 1024  # MiB
    max_object_mb: Annotated[int, Field(ge=1)] = 1024  # MiB
