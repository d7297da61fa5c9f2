"""config.yaml (and the environment over it) to one frozen `Config`.

Every mistake is reported at once. ``DICOM_NODE__NODE__PORT=11113`` overrides ``node.port``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from dicom_node.errors import ConfigError
from dicom_node.safeguards import Port, Section, SpoolConfig, TlsConfig, Word

_ENVIRONMENT_PREFIX = "DICOM_NODE__"

#: An AE title: 1 to 16 characters of the default repertoire, no backslash (PS3.5 6.2, VR AE).
AETitle = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$"),
]
DestinationName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


def _service_url(text: str) -> str:
    """Check the address of a web service; user and password have no place in it."""
    address = urlsplit(text)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError("must be http://... or https://...")
    if address.username is not None or address.query or address.fragment:
        raise ValueError("must end with the path, and hold no user, password or query")
    _ = address.port  # raises where it is no port
    return text.rstrip("/")


#: Where a DICOMweb service begins; ``/studies`` follows.
ServiceUrl = Annotated[str, AfterValidator(_service_url)]


class CallingPeer(Section):
    """One peer that may call the node; ``address`` None means from anywhere.

    ``port`` is where its storage commitment reports go, if it asks for any.
    """

    ae_title: AETitle
    address: str | None = None
    port: Port | None = None

    @model_validator(mode="after")
    def _a_port_is_one_machine_s(self) -> Self:
        if self.port is not None and (self.address is None or "/" in self.address):
            raise ValueError("a port needs the address of one machine")
        return self


class NodeConfig(Section):
    """Who the node is on the network, and where it keeps its state."""

    ae_title: AETitle = "DICOM_NODE"
    host: str = "0.0.0.0"  # noqa: S104 - a DICOM node listens to its hospital's network
    port: Port = 11112
    plain: bool = True
    data_dir: Path = Path("data")
    require_called: bool = False
    allowed_calling: tuple[CallingPeer, ...] = ()
    users_file: Path | None = None
    max_associations: Annotated[int, Field(ge=1)] = 64
    max_associations_per_peer: Annotated[int, Field(ge=1)] = 32
    artim_seconds: Annotated[float, Field(gt=0)] = 30.0
    network_timeout_seconds: Annotated[float, Field(gt=0)] = 60.0


class DicomDestination(Section):
    """A PACS that gets the results by C-STORE."""

    kind: Literal["dicom"] = "dicom"
    name: DestinationName
    ae_title: AETitle
    host: str
    port: Port
    tls: bool = False
    tls_name: Word | None = None  # in its certificate, where that is not `host`
    commitment: bool | Literal["auto"] = "auto"


class FolderDestination(Section):
    """A folder that gets the results as files; it must be there already."""

    kind: Literal["folder"]
    name: DestinationName
    path: Path


class WebDestination(Section):
    """A DICOMweb service that gets the results by STOW-RS.

    The bearer token stands in a file or an environment variable, never in the configuration, which
    is printed and logged.
    """

    kind: Literal["dicomweb"]
    name: DestinationName
    url: ServiceUrl
    token_file: Path | None = None
    token_env: Annotated[str, StringConstraints(min_length=1)] | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _the_token_stays_secret(self) -> Self:
        if self.token_file and self.token_env:
            raise ValueError("give token_file or token_env, not both")
        address = urlsplit(self.url)
        local = address.hostname in ("localhost", "127.0.0.1", "::1")
        if (self.token_file or self.token_env) and address.scheme != "https" and not local:
            raise ValueError("a token goes out over https only")
        return self


def _kind(value: object) -> str:
    """Which destination this is to be; without a word, a PACS."""
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


class StudyConfig(Section):
    """When a study is read."""

    quiet_seconds: Annotated[float, Field(ge=0)] = 5.0


class SelectConfig(Section):
    """Which instances are frontal chest films."""

    body_parts: tuple[str, ...] = ("CHEST", "THORAX", "LUNG", "LUNGS", "CHEST PA", "CHEST AP")
    accept_blank_body_part: bool = True
    accept_blank_view: bool = True
    accept_for_processing: bool = True
    min_side: Annotated[int, Field(ge=64)] = 256  # pixels
    max_aspect: Annotated[float, Field(gt=1)] = 2.0  # long side over short side


class GateConfig(Section):
    """What the pixels must look like before any network scores them."""

    enabled: bool = True
    min_age_years: Annotated[int, Field(ge=0)] = 18
    accept_unknown_age: bool = True
    polarity: Literal["correct", "refuse", "off"] = "correct"


class ModelsConfig(Section):
    """Which networks read."""

    dir: Path | None = None


class WorkersConfig(Section):
    """How much of the machine inference takes."""

    count: Annotated[int, Field(ge=1)] = 1
    threads: Annotated[int, Field(ge=1)] = 2
    lease_seconds: Annotated[float, Field(gt=0)] = 300.0
    max_attempts: Annotated[int, Field(ge=1)] = 5


class ReportConfig(Section):
    """How the Structured Report is written."""

    sop_class: Literal["comprehensive_3d", "comprehensive", "enhanced", "basic_text"] = (
        "comprehensive_3d"
    )
    refusals: bool = True
    stage3_code: bool = True
    max_regions: Annotated[int, Field(ge=0, le=3)] = 3


class ResultsConfig(Section):
    """Which objects a film yields, how they look, and who signs."""

    secondary_capture: bool = True
    segmentation: bool = True
    key_objects: bool = True
    presentation_state: bool = False
    parametric_maps: bool = False
    language: Literal["en", "zh-TW", "de", "es"] = "en"
    encoding: Literal["uncompressed", "jpeg", "jpeg-ls"] = "uncompressed"
    max_side: Annotated[int, Field(ge=512)] = 2048  # pixels, longest side of a map; never upsampled
    manufacturer: str = "dicom-node project"
    station_serial_number: str = "0"


class DeliveryConfig(Section):
    """How hard the node tries to deliver."""

    first_retry_seconds: Annotated[float, Field(gt=0)] = 5.0
    max_retry_seconds: Annotated[float, Field(gt=0)] = 900.0
    max_attempts: Annotated[int, Field(ge=1)] = 200
    timeout_seconds: Annotated[float, Field(gt=0)] = 30.0
    lease_seconds: Annotated[float, Field(gt=0)] = 600.0
    commitment_wait_seconds: Annotated[float, Field(ge=0)] = 2.0
    commitment_timeout_seconds: Annotated[float, Field(gt=0)] = 900.0
    commitment_attempts: Annotated[int, Field(ge=1)] = 3
    breaker_failures: Annotated[int, Field(ge=1)] = 5


class LogConfig(Section):
    """What the log looks like."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Config(Section):
    """The node's whole configuration, frozen."""

    node: NodeConfig = NodeConfig()
    tls: TlsConfig = TlsConfig()
    spool: SpoolConfig = SpoolConfig()
    destinations: tuple[Destination, ...] = ()
    study: StudyConfig = StudyConfig()
    select: SelectConfig = SelectConfig()
    gate: GateConfig = GateConfig()
    models: ModelsConfig = ModelsConfig()
    workers: WorkersConfig = WorkersConfig()
    report: ReportConfig = ReportConfig()
    results: ResultsConfig = ResultsConfig()
    delivery: DeliveryConfig = DeliveryConfig()
    log: LogConfig = LogConfig()

    @model_validator(mode="after")
    def _destination_names_are_unique(self) -> Config:
        names = [destination.name for destination in self.destinations]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"destinations: named twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _somebody_can_speak(self) -> Config:
        if not self.node.plain and self.tls.port is None:
            raise ValueError("node.plain is off and tls.port is not set: nobody could call")
        peers = [each for each in self.destinations if isinstance(each, DicomDestination)]
        if any(peer.tls for peer in peers) and self.tls.ca_file is None:
            raise ValueError("a destination with tls needs tls.ca_file: who signs its certificate")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 over what changes a result: same digest, same film, same model, same objects."""
        parts = self.model_dump_json(include={"gate", "report", "results"})
        return hashlib.sha256(parts.encode()).hexdigest()


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration file; None gives the defaults. The environment wins over both.

    Raises
    ------
    ConfigError
        The file cannot be read, or holds mistakes; the message lists all of them.
    """
    values: object = {}
    try:
        if path is not None:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: the top level must be a mapping of sections")
        return Config.model_validate(_override(values, environment))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(str(part) for part in mistake['loc']) or 'config'}: {mistake['msg']}"
            for mistake in error.errors()
        ]
        raise ConfigError(f"{path or 'configuration'}:\n  " + "\n  ".join(mistakes)) from error


def _override(values: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Lay ``DICOM_NODE__SECTION__KEY`` variables, written as YAML, over the file's values.

    pydantic-settings does the same, and more, for 0.12 s at every start of the command line.
    """
    merged = {
        section: dict(keys) if isinstance(keys, dict) else keys for section, keys in values.items()
    }
    for name, text in environment.items():
        if name.startswith(_ENVIRONMENT_PREFIX):
            section, _, key = name.removeprefix(_ENVIRONMENT_PREFIX).lower().partition("__")
            if not key:
                merged[section] = yaml.safe_load(text)
            elif isinstance(keys := merged.setdefault(section, {}), dict):
                keys[key] = yaml.safe_load(text)
    return merged
