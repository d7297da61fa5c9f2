"""An audit line as a DICOM Audit Message, PS3.15 A.5.

The trail holds no patient's identity, so none is told: where A.5.3 wants a patient there is one
whose number is "withheld". The Study Instance UID finds the patient in the archive.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias
from xml.etree import ElementTree as ET

from dicom_node.config import DicomDestination, WebDestination
from dicom_node.domain import AuditKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dicom_node.config import Config, Destination
    from dicom_node.domain import AuditEvent, AuditRecord

_Code: TypeAlias = tuple[str, str]  # of DCM (PS3.16 CID 400 to 403): value and meaning

_APPLICATION_ACTIVITY = ("110100", "Application Activity")
_ACCESSED = ("110103", "DICOM Instances Accessed")
_TRANSFERRED = ("110104", "DICOM Instances Transferred")
_DELETED = ("110105", "DICOM Study Deleted")
_SECURITY_ALERT = ("110113", "Security Alert")

_START = ("110120", "Application Start")
_STOP = ("110121", "Application Stop")
_NODE_AUTHENTICATION = ("110126", "Node Authentication")
_SECURITY_CONFIGURATION = ("110129", "Security Configuration")

_APPLICATION = ("110150", "Application")
_DESTINATION = ("110152", "Destination Role ID")
_SOURCE = ("110153", "Source Role ID")
_STUDY_UID = ("110180", "Study Instance UID")
_NODE_ID = ("110182", "Node ID")

_SUCCESS, _MINOR_FAILURE = "0", "4"  # EventOutcomeIndicator
_MACHINE_NAME, _IP_ADDRESS, _URI = "1", "2", "5"  # NetworkAccessPointTypeCode


@dataclass(frozen=True, slots=True)
class _Event:
    what: _Code
    action: str  # EventActionCode: Create, Read, Delete, Execute
    kind: _Code | None = None  # EventTypeCode
    outcome: str = _SUCCESS


#: Which lines are told, and as what. The others are of no concern to a repository.
TOLD: Mapping[AuditKind, _Event] = {
    AuditKind.NODE_STARTED: _Event(_APPLICATION_ACTIVITY, "E", _START),
    AuditKind.NODE_STOPPED: _Event(_APPLICATION_ACTIVITY, "E", _STOP),
    AuditKind.INSTANCE_RECEIVED: _Event(_TRANSFERRED, "C"),
    AuditKind.INSTANCE_REFUSED: _Event(_TRANSFERRED, "C", outcome=_MINOR_FAILURE),
    AuditKind.FILM_READ: _Event(_ACCESSED, "R"),
    AuditKind.DELIVERY_ACCEPTED: _Event(_TRANSFERRED, "C"),
    AuditKind.STUDY_REMOVED: _Event(_DELETED, "D"),
    AuditKind.ASSOCIATION_REJECTED: _Event(
        _SECURITY_ALERT, "E", _NODE_AUTHENTICATION, _MINOR_FAILURE
    ),
    AuditKind.TLS_FAILED: _Event(_SECURITY_ALERT, "E", _NODE_AUTHENTICATION, _MINOR_FAILURE),
    AuditKind.TLS_RELOADED: _Event(_SECURITY_ALERT, "E", _SECURITY_CONFIGURATION),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Participant:
    user: str
    role: _Code
    is_requestor: bool
    alternative: str | None = None
    point: str = ""
    point_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Makes messages of lines, for one node."""

    ae_title: str
    host: str  # this machine's name
    destinations: Mapping[str, Destination] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config, host: str) -> Teller:
        """For this configuration."""
        named = {each.name: each for each in config.destinations}
        return cls(ae_title=config.node.ae_title, host=host, destinations=named)

    def message(self, line: AuditRecord) -> bytes | None:
        """Make the line an AuditMessage, XML in UTF-8; None where it is not told."""
        event = TOLD.get(line.event.kind)
        if event is None:
            return None
        root = ET.Element("AuditMessage")
        what = ET.SubElement(
            root, "EventIdentification",
            EventActionCode=event.action,
            EventDateTime=line.at.isoformat(timespec="milliseconds"),
            EventOutcomeIndicator=event.outcome,
        )  # fmt: skip
        _code(what, "EventID", event.what)
        if event.kind is not None:
            _code(what, "EventTypeCode", event.kind)
        for participant in self._participants(line.event):
            _active(root, participant)
        source = ET.SubElement(root, "AuditSourceIdentification", AuditSourceID=self._name)
        ET.SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})  # application server
        if line.event.study_instance_uid is not None:
            _study(root, line.event)
            _patient(root)
        elif reason := line.event.detail.get("reason"):
            _alert(root, self._name, str(reason))
        made: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
        return made

    @property
    def _name(self) -> str:
        return f"{self.ae_title}@{self.host}"

    def _participants(self, event: AuditEvent) -> Iterator[_Participant]:
        told = TOLD[event.kind].what
        if event.kind is AuditKind.DELIVERY_ACCEPTED:
            yield self._self(_SOURCE, is_requestor=True)
            yield self._peer(str(event.detail.get("destination", "")))
        elif told == _TRANSFERRED:
            yield _caller(event)
            yield self._self(_DESTINATION, is_requestor=False)
        else:
            if "address" in event.detail:
                yield _caller(event)
            yield self._self(_APPLICATION, is_requestor=False)

    def _self(self, role: _Code, *, is_requestor: bool) -> _Participant:
        return _Participant(
            user=self._name,
            role=role,
            is_requestor=is_requestor,
            alternative=f"AETITLES={self.ae_title}",
            point=self.host,
            point_type=_MACHINE_NAME,
        )

    def _peer(self, name: str) -> _Participant:
        found = self.destinations.get(name)
        point, point_type, alternative = "", "", None
        if isinstance(found, DicomDestination):
            point, point_type = found.host, _MACHINE_NAME
            alternative = f"AETITLES={found.ae_title}"
        elif isinstance(found, WebDestination):
            point, point_type = str(found.url), _URI
        return _Participant(
            user=name, role=_DESTINATION, is_requestor=False,
            alternative=alternative, point=point, point_type=point_type,
        )  # fmt: skip


def _caller(event: AuditEvent) -> _Participant:
    calling, address = event.detail.get("calling"), event.detail.get("address")
    return _Participant(
        user=str(calling or address or "unknown"),
        role=_SOURCE,
        is_requestor=True,
        alternative=f"AETITLES={calling}" if calling else None,
        point=str(address or ""),
        point_type=_IP_ADDRESS,
    )


def _code(parent: ET.Element, name: str, code: _Code, system: str = "DCM") -> None:
    value, meaning = code
    ET.SubElement(
        parent, name, {"csd-code": value, "codeSystemName": system, "originalText": meaning}
    )


def _active(root: ET.Element, participant: _Participant) -> None:
    values = {"UserID": participant.user}
    if participant.alternative:
        values["AlternativeUserID"] = participant.alternative
    values["UserIsRequestor"] = "true" if participant.is_requestor else "false"
    if participant.point:
        values["NetworkAccessPointID"] = participant.point
        values["NetworkAccessPointTypeCode"] = participant.point_type
    _code(ET.SubElement(root, "ActiveParticipant", values), "RoleIDCode", participant.role)


def _object(
    root: ET.Element, identity: str, name: str, codes: tuple[str, str], kind: _Code,
    system: str = "DCM",
) -> ET.Element:  # fmt: skip
    """Add a participating object; ``codes``: ParticipantObjectTypeCode and its Role.

    The elements stand in the order of the schema, PS3.15 A.5.1, which wants a name or a query.
    """
    found = ET.SubElement(
        root, "ParticipantObjectIdentification",
        ParticipantObjectID=identity,
        ParticipantObjectTypeCode=codes[0],
        ParticipantObjectTypeCodeRole=codes[1],
    )  # fmt: skip
    _code(found, "ParticipantObjectIDTypeCode", kind, system)
    ET.SubElement(found, "ParticipantObjectName").text = name
    return found


def _study(root: ET.Element, event: AuditEvent) -> None:
    identity = str(event.study_instance_uid)
    found = _object(root, identity, "withheld", ("2", "3"), _STUDY_UID)  # system object, report
    if event.sop_instance_uid is None:
        return
    description = ET.SubElement(found, "ParticipantObjectDescription")
    values = {"UID": str(event.detail.get("sop_class_uid") or ""), "NumberOfInstances": "1"}
    known = {name: value for name, value in values.items() if value}
    sop_class = ET.SubElement(description, "SOPClass", known)
    ET.SubElement(sop_class, "Instance", UID=event.sop_instance_uid)


def _patient(root: ET.Element) -> None:
    number = ("2", "Patient Number")
    _object(root, "withheld", "withheld", ("1", "1"), number, "RFC-3881")  # person, patient


def _alert(root: ET.Element, subject: str, reason: str) -> None:
    """What a Security Alert is about, PS3.15 A.5.3.11; a detail's value is base64."""
    found = _object(root, subject, subject, ("2", "13"), _NODE_ID)  # system, security resource
    value = base64.b64encode(reason.encode()).decode()
    ET.SubElement(found, "ParticipantObjectDetail", type="Alert Description", value=value)
