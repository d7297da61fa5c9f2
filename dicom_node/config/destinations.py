"""The destinations in the configuration: where results go, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from dicom_node.config.sections import Port, Section, SrClass, Word
from dicom_node.domain.values import Identity, ResultKind

#: An AE title: 1 to 16 characters of the default repertoire, no backslash (PS3.5 6.2, VR AE).
AETitle = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$"),
]
DestinationName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


def _service_url(text: str) -> str:
    """Check the URL of a web service; it must not hold a user or password."""
    address = urlsplit(text)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError("must be http://... or https://...")
    if address.username is not None or address.query or address.fragment:
        raise ValueError("must end with the path, and hold no user, password or query")
    _ = address.port  # raises ValueError for an illegal port
    return text.rstrip("/")


#: Base URL of a DICOMweb service; ``/studies`` is appended.
ServiceUrl = Annotated[str, AfterValidator(_service_url)]


class Recipient(Section):
    """What every destination has: a name, what it may know of the patient, and what it gets."""

    name: DestinationName
    identity: Identity = Identity.FULL
    send: Annotated[tuple[ResultKind, ...], Field(min_length=1)] | None = None  # None: all
    sr_class: SrClass | None = None  # None: as `report.sop_class` says


class DicomDestination(Recipient):
    """A PACS that receives the results by C-STORE."""

    kind: Literal["dicom"] = "dicom"
    ae_title: AETitle
    host: str
    port: Port
    tls: bool = False
    tls_name: Word | None = None  # the name in its certificate, if not `host`
    commitment: bool | Literal["auto"] = "auto"


class FolderDestination(Recipient):
    """A folder that receives the results as files; it must exist."""

    kind: Literal["folder"]
    path: Path
    uncompressed: bool = False  # pictures, for programs that read no JPEG


class WebDestination(Recipient):
    """A DICOMweb service that receives the results by STOW-RS.

    The bearer token is in a file or an environment variable, never in the configuration, which is
    printed and logged.
    """

    kind: Literal["dicomweb"]
    url: ServiceUrl
    token_file: Path | None = None
    token_env: Word | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        if self.token_file and self.token_env:
            raise ValueError("give token_file or token_env, not both")
        address = urlsplit(self.url)
        local = address.hostname in ("localhost", "127.0.0.1", "::1")
        if (self.token_file or self.token_env) and address.scheme != "https" and not local:
            raise ValueError("a token is sent over https only")
        return self


def _kind(value: object) -> str:
    """The kind of a destination; a PACS if it is not given."""
    kind = value.get("kind", "dicom") if isinstance(value, dict) else getattr(value, "kind", None)
    return str(kind)


Destination: TypeAlias = Annotated[
    Annotated[DicomDestination, Tag("dicom")]
    | Annotated[FolderDestination, Tag("folder")]
    | Annotated[WebDestination, Tag("dicomweb")],
    Discriminator(
        _kind,
        custom_error_type="destination_kind",
        custom_error_message="kind must be dicom, folder or dicomweb",
    ),
]
