"""Turns an audit line into a DICOM Audit Message, PS3.15 A.5.

The audit log holds no patient identity. Where A.5.3 requires a patient, the patient number is
"withheld", or, if so configured, the one that `dicom_node.audit.messages.patient` finds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from dicom_node.audit.messages import elements as el
from dicom_node.audit.messages import events as ev
from dicom_node.audit.messages.elements import Participant
from dicom_node.config import DicomDestination, Hl7Destination, WebService
from dicom_node.domain.audit import AuditKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dicom_node.config import Config, Destination
    from dicom_node.domain.audit import AuditEvent, AuditRecord

UNKNOWN = "unknown"


def withheld(_study_instance_uid: str) -> str:
    """The patient number if none may be sent."""
    return "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditMessageBuilder:
    """Makes the audit messages of one node.

    Parameters
    ----------
    log_uri
        The URI of the audit log.
    patient
        Study Instance UID -> the patient number to send.
    """

    ae_title: str
    host: str  # this machine's name
    log_uri: str
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    patient: Callable[[str], str] = withheld

    @classmethod
    def of(cls, config: Config, host: str) -> AuditMessageBuilder:
        """Make a builder for a configuration."""
        return cls(
            ae_title=config.node.ae_title,
            host=host,
            log_uri=f"file://{host}{config.node.data_dir.resolve()}/node.db#audit",
            destinations={each.name: each for each in config.destinations},
        )

    def message(self, line: AuditRecord) -> bytes | None:
        """The line as an AuditMessage, XML in UTF-8; None if it is not to be sent."""
        spec, event = ev.SENT.get(line.event.kind), line.event
        if spec is None:
            return None
        root = ET.Element("AuditMessage")
        what = ET.SubElement(
            root, "EventIdentification",
            EventActionCode=spec.action,
            EventDateTime=line.at.isoformat(timespec="milliseconds"),
            EventOutcomeIndicator=spec.outcome,
        )  # fmt: skip
        el.code(what, "EventID", spec.what)
        if spec.kind is not None:
            el.code(what, "EventTypeCode", spec.kind)
        if event.kind is AuditKind.INSTANCE_REFUSED and "reason" in event.detail:
            reason = el.legal(str(event.detail["reason"]))
            ET.SubElement(what, "EventOutcomeDescription").text = reason
        for participant in self._participants(event, spec.what):
            el.active(root, participant)
        source = ET.SubElement(root, "AuditSourceIdentification", AuditSourceID=self._name)
        ET.SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})  # application server
        self._objects(root, event, spec.what)
        made: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
        return made

    @property
    def _name(self) -> str:
        return f"{self.ae_title}@{self.host}"

    def _participants(self, event: AuditEvent, what: ev.Code) -> Iterator[Participant]:
        if "destination" in event.detail:
            yield self._self(ev.SOURCE, is_requestor=True)
            yield self._peer(str(event.detail["destination"]))
        elif what == ev.TRANSFERRED:
            yield _caller(event, is_requestor=True)
            yield self._self(ev.DESTINATION, is_requestor=False)
        else:
            if "address" in event.detail:  # A.5.3.11: the subject of an alert requested nothing
                yield _caller(event, is_requestor=False)
            if "user" in event.detail:
                yield Participant(user=f"{event.detail['user']}@{self.host}", is_requestor=True)
            yield self._self(ev.APPLICATION, is_requestor=False)

    def _self(self, role: ev.Code, *, is_requestor: bool) -> Participant:
        return Participant(
            user=self._name,
            role=role,
            is_requestor=is_requestor,
            alternative=f"AETITLES={self.ae_title}",
            point=self.host,
            point_type=el.MACHINE_NAME,
        )

    def _peer(self, name: str) -> Participant:
        found = self.destinations.get(name)
        point, point_type, alternative = "", "", None
        if isinstance(found, DicomDestination):
            point, point_type = found.host, el.MACHINE_NAME
            alternative = f"AETITLES={found.ae_title}"
        elif isinstance(found, Hl7Destination):
            point, point_type = found.host, el.MACHINE_NAME
        elif isinstance(found, WebService):
            point, point_type = str(found.url), el.URI_POINT
        return Participant(
            user=name, role=ev.DESTINATION, is_requestor=False,
            alternative=alternative, point=point, point_type=point_type,
        )  # fmt: skip

    def _objects(self, root: ET.Element, event: AuditEvent, what: ev.Code) -> None:
        if what == ev.AUDIT_LOG_USED:
            self._log(root)
        elif what == ev.SECURITY_ALERT:
            self._alert(root, event)
        elif what == ev.QUERY:
            _query(root, event)
        elif what != ev.APPLICATION_ACTIVITY:
            self._study(root, event)

    def _log(self, root: ET.Element) -> ET.Element:
        security = (el.SYSTEM_OBJECT, el.SECURITY_RESOURCE)
        return el.participating(
            root, self.log_uri, security, ev.URI, system="RFC-3881", name="Security Audit Log"
        )

    def _alert(self, root: ET.Element, event: AuditEvent) -> None:
        reason = event.detail.get("reason")
        if event.kind is AuditKind.AUDIT_BROKEN:
            subject = self._log(root)
        elif reason:
            security = (el.SYSTEM_OBJECT, el.SECURITY_RESOURCE)
            subject = el.participating(root, self._name, security, ev.NODE_ID, name=self._name)
        else:
            return
        el.detail(subject, "Alert Description", str(reason))

    def _study(self, root: ET.Element, event: AuditEvent) -> None:
        study, one, counts = event.study_instance_uid, event.sop_instance_uid, {}
        if one is not None:
            counts = {str(event.detail.get("sop_class_uid") or ""): 1}
        elif isinstance(objects := event.detail.get("objects"), dict):
            counts = objects
        report = (el.SYSTEM_OBJECT, el.REPORT)
        found = el.participating(root, study or UNKNOWN, report, ev.STUDY_UID)
        if counts:
            el.contents(found, counts, one)
        number = self.patient(study) if study else withheld("")
        person = (el.PERSON, el.PATIENT)
        el.participating(root, number, person, ev.PATIENT_NUMBER, system="RFC-3881")


def _caller(event: AuditEvent, *, is_requestor: bool) -> Participant:
    calling, address = event.detail.get("calling"), event.detail.get("address")
    return Participant(
        user=str(calling or address or UNKNOWN),
        role=ev.SOURCE,
        is_requestor=is_requestor,
        alternative=f"AETITLES={calling}" if calling else None,
        point=str(address or ""),
        point_type=el.IP_ADDRESS,
    )


def _query(root: ET.Element, event: AuditEvent) -> None:
    """Add the query, PS3.15 A.5.3.10; it holds UIDs only."""
    found = el.participating(
        root, str(event.detail["sop_class_uid"]), (el.SYSTEM_OBJECT, el.REPORT), ev.SOP_CLASS_UID,
        query=str(event.detail["query"]),
    )  # fmt: skip
    el.detail(found, "TransferSyntax", str(event.detail["transfer_syntax_uid"]))
