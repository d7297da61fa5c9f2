"""Section 6: every configuration key with its limits and its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from dicom_node.audit.messages.events import SENT
from dicom_node.config import (
    Config,
    DicomDestination,
    FhirDestination,
    FolderDestination,
    Hl7Destination,
    WebDestination,
    WebService,
)
from dicom_node.conformance.markdown import heading, table
from dicom_node.deliver.retry import JITTER_SHARE
from dicom_node.domain.audit import AuditKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.conformance.created import Created

_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "minLength": "length at least {}",
    "maxLength": "length at most {}",
}


def settings(created: Created) -> Iterator[str]:
    """Section 6."""
    config = created.config
    yield heading("6", "Configuration")
    yield heading("6.1", "General Configuration Parameters")
    yield (
        "One file, `config.yaml`, read at start; an environment variable "
        "`DICOM_NODE__SECTION__KEY` overrides it. The file in the repository explains units and "
        "reasons.\n"
    )
    yield table(("Parameter", "Default", "Allowed", "Here"), _parameters(config))
    yield from _peers(config)
    yield from _other_destinations(config)
    yield from _choices(config)
    yield heading("6.5", "Configuration of Real-Time Video Services")
    yield "None.\n"
    yield heading("6.6", "Configuration of Audit Trail")
    yield (
        "The audit log is in the node's own database; each line holds a hash of the line before "
        "it. `dicom-node audit export` writes it as JSON. Kinds of lines: "
        f"{', '.join(f'`{kind.value}`' for kind in AuditKind)}. {_repository(config)} Sent are "
        f"{', '.join(f'`{kind.value}`' for kind in SENT)}.\n"
    )


def _repository(config: Config) -> str:
    to = config.audit.repository
    where = "an audit repository, if one is configured (here none is)"
    if to is not None:
        where = f"the audit repository {to.host}, port {to.port}"
    patient = "is `withheld`"
    if to is not None and to.patient == "id":
        patient = "is that of a film in the spool, `unknown` if the film was deleted"
    return (
        f"DICOM audit messages (PS3.15 A.5) are sent to {where}, by syslog over TLS (RFC 5424, "
        "RFC 5425), and after an outage sent again until they are received. UserID is `AE "
        "title@host` for the node, the AE title, the configured name or the address for peers, "
        "`login@host` for a person. They hold no patient name; the Patient ID "
        f"{patient} (`audit.repository.patient`)."
    )


def _peers(config: Config) -> Iterator[str]:
    yield heading("6.2", "Configuration of DIMSE Services")
    yield heading("6.2.5", "Storage Service")
    yield "Local application entities:\n"
    node = config.node
    rows: list[tuple[object, ...]] = []
    if config.plain_is_open:
        rows.append(("RECEIVER", node.ae_title, node.host, node.port))
    if config.tls.port is not None:
        rows.append(("RECEIVER, over TLS", node.ae_title, node.host, config.tls.port))
    yield table(
        ("AE", "AE Title", "Address", "TCP Port"), [*rows, ("DELIVERER", node.ae_title, "", "")]
    )
    yield "Remote application entities that get results (`destinations` of kind `dicom`):\n"
    peers = [each for each in config.destinations if isinstance(each, DicomDestination)]
    yield table(
        ("Name", "AE Title", "Host", "TCP Port", "TLS", "Commitment"),
        (
            (
                *(each.name, each.ae_title, each.host, each.port),
                *("yes" if each.tls else "no", str(each.commitment).lower()),
            )
            for each in peers
        ),
    )
    yield "Remote application entities that may call (`node.allowed_calling`); none: any.\n"
    yield table(
        ("AE Title", "Address", "TCP Port for Commitment Reports"),
        (
            (peer.ae_title, peer.address or "any", peer.port or "none")
            for peer in node.allowed_calling
        ),
    )
    delivery = config.delivery
    yield (
        f"What a destination does not accept now is sent again after "
        f"{delivery.first_retry_seconds:g} s, then after twice as long each time, at most after "
        f"{delivery.max_retry_seconds:g} s, each delay randomly shortened by up to "
        f"{JITTER_SHARE:.0%}, {delivery.max_attempts} times in all.\n"
    )


def _other_destinations(config: Config) -> Iterator[str]:
    yield heading("6.3", "Configuration of DICOM Web Services")
    yield heading("6.3.2", "Studies Web Service")
    yield "Services that get results (`destinations` of kind `dicomweb`):\n"
    web = [each for each in config.destinations if isinstance(each, WebDestination)]
    yield table(
        ("Name", "Address", "Bearer Token", "Certificate Authorities"),
        ((each.name, each.url, _token(each), each.ca_file or "public") for each in web),
    )
    yield heading("6.4", "Configuration of Media Storage Services")
    yield "Folders that get results (`destinations` of kind `folder`):\n"
    folders = [each for each in config.destinations if isinstance(each, FolderDestination)]
    yield table(("Name", "Path"), ((each.name, each.path) for each in folders))
    yield from _messages(config)


def _messages(config: Config) -> Iterator[str]:
    """What is not DICOM, for completeness."""
    yield (
        "Receivers of HL7 version 2.5.1 messages, ORU^R01 over MLLP, made of the Structured Report "
        "(`destinations` of kind `hl7`):\n"
    )
    receivers = [each for each in config.destinations if isinstance(each, Hl7Destination)]
    yield table(
        ("Name", "Host", "TCP Port", "TLS", "Character Set"),
        (
            (each.name, each.host, each.port, "yes" if each.tls else "no", each.charset)
            for each in receivers
        ),
    )
    yield (
        "FHIR R4 servers that get a DiagnosticReport and its Observations, made of the Structured "
        "Report (`destinations` of kind `fhir`):\n"
    )
    servers = [each for each in config.destinations if isinstance(each, FhirDestination)]
    yield table(
        ("Name", "Address", "Login", "Certificate Authorities"),
        ((each.name, each.url, _token(each), each.ca_file or "public") for each in servers),
    )


def _choices(config: Config) -> Iterator[str]:
    yield "What each destination gets (`identity`, `send`, `sr_class`):\n"
    rows = []
    for each in config.destinations:
        kinds = ", ".join(sorted(each.send or config.results.kinds))
        sr_class = each.sr_class or config.report.sop_class
        rows.append((each.name, each.identity.value, kinds, sr_class))
    yield table(("Name", "Identity", "Kinds of Result", "SR Class"), rows)


def _token(service: WebService) -> str:
    return "yes" if service.token_file or service.token_env else "no"


def _parameters(config: Config) -> Iterator[tuple[str, str, str, str]]:
    default = Config()
    for section in Config.model_fields:
        values = getattr(config, section)
        if not isinstance(values, BaseModel):
            continue  # destinations have tables of their own
        schema = type(values).model_json_schema()["properties"]
        for key, limits in schema.items():
            before, here = getattr(getattr(default, section), key), getattr(values, key)
            yield f"`{section}.{key}`", _shown(before), _allowed(limits), _shown(here)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, BaseModel):
        return " ".join(str(each) for each in value.model_dump().values() if each is not None)
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def _allowed(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(schema["enum"])
    limits = [text.format(schema[key]) for key, text in _LIMITS.items() if key in schema]
    kind = {"boolean": "true, false", "array": "a list"}.get(schema.get("type", ""), "")
    return ", ".join(limits) or kind
