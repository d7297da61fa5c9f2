"""The whole configuration as one frozen `Config`, and most of its sections."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from dicom_node.config.destinations import AETitle, Destination, DicomDestination, Hl7Destination
from dicom_node.config.sections import (
    AlertsConfig,
    AuditConfig,
    DriftConfig,
    HttpConfig,
    Port,
    PriorityConfig,
    QuotasConfig,
    ReceiveConfig,
    RetentionConfig,
    Section,
    SpoolConfig,
    SrClass,
    StoreConfig,
    TlsConfig,
)
from dicom_node.config.thresholds import ThresholdsConfig
from dicom_node.config.verdicts import VerdictsConfig
from dicom_node.domain.values import Edition, ResultKind
from models import SHIPPED


class CallingPeer(Section):
    """A peer that may call the node; ``address`` None means from any address.

    ``port`` is where its storage commitment reports go, if it asks for any. ``certificate`` is the
    common name of the certificate that it must show, so it can call over TLS only.
    """

    ae_title: AETitle
    address: str | None = None
    certificate: str | None = None
    port: Port | None = None

    @model_validator(mode="after")
    def _check_port(self) -> Self:
        if self.port is not None and (self.address is None or "/" in self.address):
            raise ValueError("port needs address: that of one machine, not of a network")
        return self


class NodeConfig(Section):
    """The node on the network, and where it keeps its state."""

    ae_title: AETitle = "DICOM_NODE"
    host: str = "0.0.0.0"  # noqa: S104 - a DICOM node listens on its hospital's network
    port: Port = 11112
    plain: bool | None = None  # None: if there is no TLS port
    data_dir: Path = Path("data")
    member: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    roles: tuple[Literal["receiver", "worker", "deliverer", "scheduler"], ...] = (
        "receiver", "worker", "deliverer", "scheduler",
    )  # fmt: skip
    require_called: bool = False
    allowed_calling: tuple[CallingPeer, ...] = ()
    proxies: tuple[str, ...] = ()
    users_file: Path | None = None
    max_associations: Annotated[int, Field(ge=1)] = 64
    max_associations_per_peer: Annotated[int, Field(ge=1)] = 32
    artim_seconds: Annotated[float, Field(gt=0)] = 30.0
    network_timeout_seconds: Annotated[float, Field(gt=0)] = 60.0


class StudyConfig(Section):
    """When a study is read."""

    quiet_seconds: Annotated[float, Field(ge=0)] = 5.0
    longest_wait_seconds: Annotated[float, Field(gt=0)] = 60.0


class SelectConfig(Section):
    """Which instances are frontal chest films."""

    body_parts: tuple[str, ...] = ("CHEST", "THORAX", "LUNG", "LUNGS", "CHEST PA", "CHEST AP")
    accept_blank_body_part: bool = True
    accept_blank_view: bool = True
    accept_for_processing: bool = True
    min_side: Annotated[int, Field(ge=64)] = 256  # pixels
    max_aspect: Annotated[float, Field(gt=1)] = 2.0  # long side over short side


class GateConfig(Section):
    """Which films the networks may score, by age and by their pixels."""

    enabled: bool = True
    min_age_years: Annotated[int, Field(ge=0)] = 18
    accept_unknown_age: bool = True
    polarity: Literal["correct", "refuse", "off"] = "correct"


class ModelsConfig(Section):
    """Which networks read the films."""

    version: Literal["paper", "lite"] = "lite"
    dir: Path | None = None
    public_key: Path | None = None  # Ed25519, PEM: the manifest must be signed
    shadow: Path | None = None  # a candidate that reads, too, and sends nothing
    prevalence: Annotated[float, Field(gt=0, lt=1)] | None = None
    normals_above: Annotated[int, Field(ge=0, le=100)] | None = None  # of 100 normal films
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda:\d)$")] = "auto"
    precision: Literal["fp32", "auto"] = "fp32"

    @property
    def directory(self) -> Path:
        """The folder of the networks."""
        return self.dir or SHIPPED[self.version]


class WorkersConfig(Section):
    """How much of the machine inference uses."""

    count: Annotated[int, Field(ge=1)] = 1
    threads: Annotated[int, Field(ge=1)] = 2
    lease_seconds: Annotated[float, Field(gt=0)] = 300.0
    max_attempts: Annotated[int, Field(ge=1)] = 5
    film_memory_mb: Annotated[int, Field(ge=256)] = 4096  # MiB


class ReportConfig(Section):
    """How the Structured Report is written."""

    sop_class: SrClass = "comprehensive_3d"
    refusals: bool = True
    stage3_code: bool = True
    max_regions: Annotated[int, Field(ge=0, le=3)] = 2


class ResultsConfig(Section):
    """Which objects a film gets, how they look, and the equipment they name."""

    summary: bool = True
    heatmaps: Literal["none", "positive", "all"] = "positive"
    lungs: bool = False
    guided: bool = False
    segmentation: bool = False
    key_objects: bool = False
    presentation_state: bool = False
    previous: bool = True  # compare with the patient's earlier results
    parametric_maps: bool = False
    language: Literal["en", "zh-TW", "de", "es"] = "en"
    encoding: Literal["uncompressed", "jpeg", "jpeg-ls"] = "jpeg"
    picture_width: Annotated[int, Field(ge=512, le=4096)] = 1920  # pixels
    manufacturer: str = "dicom-node project"
    station_serial_number: str = "0"
    pseudonym_dates: Literal["shifted", "kept"] = "shifted"

    @property
    def kinds(self) -> frozenset[ResultKind]:
        """The kinds of result that are switched on; there is always a report."""
        report = ResultKind.REPORT
        return frozenset(
            kind for kind in ResultKind
            if kind is report or getattr(self, kind.value) not in (False, "none")
        )  # fmt: skip


class DeliveryConfig(Section):
    """Retries, time-outs and leases of delivery."""

    first_retry_seconds: Annotated[float, Field(gt=0)] = 5.0
    max_retry_seconds: Annotated[float, Field(gt=0)] = 900.0
    max_attempts: Annotated[int, Field(ge=1)] = 200
    timeout_seconds: Annotated[float, Field(gt=0)] = 30.0
    lease_seconds: Annotated[float, Field(gt=0)] = 600.0
    commitment_wait_seconds: Annotated[float, Field(ge=0)] = 2.0
    commitment_timeout_seconds: Annotated[float, Field(gt=0)] = 900.0
    commitment_attempts: Annotated[int, Field(ge=1)] = 3
    breaker_failures: Annotated[int, Field(ge=1)] = 5
    duplicate: Literal["accept", "hold"] = "accept"
    late_minutes: Annotated[float, Field(gt=0)] = 60.0


class LogConfig(Section):
    """Level and format of the program's log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Config(Section):
    """The node's whole configuration, frozen."""

    node: NodeConfig = NodeConfig()
    tls: TlsConfig = TlsConfig()
    store: StoreConfig = StoreConfig()
    spool: SpoolConfig = SpoolConfig()
    receive: ReceiveConfig = ReceiveConfig()
    quotas: QuotasConfig = QuotasConfig()
    priority: PriorityConfig = PriorityConfig()
    retention: RetentionConfig = RetentionConfig()
    audit: AuditConfig = AuditConfig()
    destinations: tuple[Destination, ...] = ()
    study: StudyConfig = StudyConfig()
    select: SelectConfig = SelectConfig()
    gate: GateConfig = GateConfig()
    models: ModelsConfig = ModelsConfig()
    thresholds: ThresholdsConfig = ThresholdsConfig()
    drift: DriftConfig = DriftConfig()
    workers: WorkersConfig = WorkersConfig()
    report: ReportConfig = ReportConfig()
    results: ResultsConfig = ResultsConfig()
    delivery: DeliveryConfig = DeliveryConfig()
    http: HttpConfig = HttpConfig()
    alerts: AlertsConfig = AlertsConfig()
    verdicts: VerdictsConfig = VerdictsConfig()
    log: LogConfig = LogConfig()

    @property
    def member(self) -> str | None:
        """Name of this machine among those that share the database; None if it has its own."""
        if self.store.url == "sqlite":
            return None
        return self.node.member or socket.gethostname()

    @property
    def run_dir(self) -> Path:
        """The folder for what concerns the running processes of this machine."""
        data_dir = self.node.data_dir
        return data_dir if self.member is None else data_dir / "members" / self.member

    @model_validator(mode="after")
    def _check_destination_names(self) -> Config:
        names = [destination.name for destination in self.destinations]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"destinations: named twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _check_sent_kinds(self) -> Config:
        for each in self.destinations:
            if missing := sorted(set(each.send or ()) - self.results.kinds):
                keys = ", ".join(f"results.{kind}" for kind in missing)
                raise ValueError(
                    f"destinations: {each.name}: send names what is not made: switch on {keys}"
                )
        return self

    @model_validator(mode="after")
    def _check_connections(self) -> Config:
        if not self.plain_is_open and self.tls.port is None:
            raise ValueError("node.plain is off and tls.port is not set: no peer could call")
        kinds = (DicomDestination, Hl7Destination)
        peers = [each for each in self.destinations if isinstance(each, kinds)]
        if any(peer.tls for peer in peers) and self.tls.ca_file is None:
            raise ValueError(
                "a destination with tls needs tls.ca_file: its certificate's authority"
            )
        if self.http.port and not self.http.is_local and not self.tls.certificate_file:
            raise ValueError("http.host other than 127.0.0.1 needs tls.certificate_file")
        if self.audit.repository is not None and self.tls.ca_file is None:
            raise ValueError("audit.repository needs tls.ca_file: its certificate's authority")
        return self

    @property
    def plain_is_open(self) -> bool:
        """Whether the plain port is open: as `node.plain` says, else if there is no TLS port."""
        return self.tls.port is None if self.node.plain is None else self.node.plain

    @property
    def editions(self) -> dict[str, Edition]:
        """What each destination gets, by its name."""
        made, written = self.results.kinds, self.report.sop_class
        return {
            each.name: Edition(
                identity=each.identity,
                send=frozenset(each.send) if each.send and set(each.send) != made else None,
                sr_class=each.sr_class if each.sr_class != written else None,
                refusals=each.refusals,
            )
            for each in self.destinations
        }

    @property
    def digest(self) -> str:
        """SHA-256 over everything that can change a byte of the objects made of a film.

        The model manifest has a digest of its own, so the folder of the models does not count.
        """
        shaping: dict[str, Any] = {
            "node": {"ae_title"}, "select": True, "gate": True, "report": True, "results": True,
            "thresholds": True,
            "models": {"version", "prevalence", "normals_above", "device", "precision"},
        }  # fmt: skip
        parts = self.model_dump_json(include=shaping)
        return hashlib.sha256(parts.encode()).hexdigest()
