"""The destinations in the configuration: where results go, and how."""

from __future__ import annotations

from collections.abc import Mapping
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


#: Base URL of a web service; DICOMweb appends ``/studies``.
ServiceUrl = Annotated[str, AfterValidator(_service_url)]

#: What a message states of a film.
Observed = Literal[
    "procedure", "pneumonia", "pneumonia_score", "pneumonia_cutoff",
    "covid19", "covid19_score", "covid19_cutoff", "model", "report", "study", "refusal",
]  # fmt: skip
#: A code as ``code^text^coding system``, as HL7 version 2 writes it.
Code = Annotated[str, StringConstraints(pattern=r"^[^^|~\\&\x00-\x1f]+(\^[^^|~\\&\x00-\x1f]*){2}$")]


class Recipient(Section):
    """What every destination has: a name, and what it may know of the patient."""

    name: DestinationName
    identity: Identity = Identity.FULL


class ObjectRecipient(Recipient):
    """A destination that gets DICOM objects."""

    send: Annotated[tuple[ResultKind, ...], Field(min_length=1)] | None = None  # None: all
    sr_class: SrClass | None = None  # None: as `report.sop_class` says

    @property
    def refusals(self) -> bool:
        """Whether it gets what is made of a refused film (`report.refusals`)."""
        return True


class MessageRecipient(Recipient):
    """A destination that gets messages, which are made of the coded Structured Report."""

    refusals: bool = False
    codes: Mapping[Observed, Code] = {}

    @property
    def site_codes(self) -> Mapping[str, str]:
        """The site's codes, by what they stand for."""
        return {str(name): code for name, code in self.codes.items()}

    @property
    def send(self) -> tuple[ResultKind, ...]:
        """What messages are made of."""
        return (ResultKind.REPORT,)

    @property
    def sr_class(self) -> SrClass:
        """A class with coded content."""
        return "comprehensive_3d"


class DicomDestination(ObjectRecipient):
    """A PACS that receives the results by C-STORE."""

    kind: Literal["dicom"] = "dicom"
    ae_title: AETitle
    host: str
    port: Port
    tls: bool = False
    tls_name: Word | None = None  # the name in its certificate, if not `host`
    commitment: bool | Literal["auto"] = "auto"


class FolderDestination(ObjectRecipient):
    """A folder that receives the results as files; it must exist."""

    kind: Literal["folder"]
    path: Path
    uncompressed: bool = False  # pictures, for programs that read no JPEG


class WebService(Section):
    """A service that is called over HTTP.

    Its secret, a bearer token or with ``user`` a password, is in a file or an environment variable,
    never in the configuration, which is printed and logged.
    """

    url: ServiceUrl
    user: Annotated[str, StringConstraints(pattern=r"^[^:\x00-\x1f]+$")] | None = None
    token_file: Path | None = None
    token_env: Word | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        if self.token_file and self.token_env:
            raise ValueError("give token_file or token_env, not both")
        has_token = bool(self.token_file or self.token_env)
        if self.user and not has_token:
            raise ValueError("user needs token_file or token_env: where the password is")
        address = urlsplit(self.url)
        local = address.hostname in ("localhost", "127.0.0.1", "::1")
        if has_token and address.scheme != "https" and not local:
            raise ValueError("a token is sent over https only")
        return self


class WebDestination(ObjectRecipient, WebService):
    """A DICOMweb service that receives the results by STOW-RS."""

    kind: Literal["dicomweb"]


class FhirDestination(MessageRecipient, WebService):
    """A FHIR R4 server that receives each report as a transaction."""

    kind: Literal["fhir"]


class Hl7Destination(MessageRecipient):
    """A receiver of HL7 version 2 messages over MLLP; it gets one ORU^R01 for each reading."""

    kind: Literal["hl7"]
    host: str
    port: Port
    tls: bool = False
    tls_name: Word | None = None  # the name in its certificate, if not `host`
    sending_application: str = "DICOM_NODE"  # MSH-3
    sending_facility: str = ""  # MSH-4
    receiving_application: str = ""  # MSH-5
    receiving_facility: str = ""  # MSH-6
    processing_id: Literal["P", "T", "D"] = "P"  # MSH-11: production, training, debugging
    charset: Literal["utf-8", "iso-8859-1"] = "utf-8"


def _kind(value: object) -> str:
    """The kind of a destination; a PACS if it is not given."""
    kind = value.get("kind", "dicom") if isinstance(value, dict) else getattr(value, "kind", None)
    return str(kind)


Destination: TypeAlias = Annotated[
    Annotated[DicomDestination, Tag("dicom")]
    | Annotated[FolderDestination, Tag("folder")]
    | Annotated[WebDestination, Tag("dicomweb")]
    | Annotated[Hl7Destination, Tag("hl7")]
    | Annotated[FhirDestination, Tag("fhir")],
    Discriminator(
        _kind,
        custom_error_type="destination_kind",
        custom_error_message="kind must be dicom, folder, dicomweb, hl7 or fhir",
    ),
]

#: The model of each kind of destination.
KINDS: Mapping[str, type[Section]] = {
    "dicom": DicomDestination,
    "folder": FolderDestination,
    "dicomweb": WebDestination,
    "hl7": Hl7Destination,
    "fhir": FhirDestination,
}
