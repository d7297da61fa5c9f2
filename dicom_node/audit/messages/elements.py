"""The elements of an audit message, in the order of the schema of PS3.15 A.5.1."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_node.audit.messages.events import Code

MACHINE_NAME, IP_ADDRESS, URI_POINT = "1", "2", "5"  # NetworkAccessPointTypeCode
PERSON, SYSTEM_OBJECT = "1", "2"  # ParticipantObjectTypeCode
PATIENT, REPORT, SECURITY_RESOURCE = "1", "3", "13"  # ParticipantObjectTypeCodeRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Who took part in an event: a node, a process or a person."""

    user: str
    is_requestor: bool
    role: Code | None = None
    alternative: str | None = None
    point: str = ""
    point_type: str = ""


def code(parent: ET.Element, name: str, value: Code, system: str = "DCM") -> None:
    """Add a coded value."""
    csd, meaning = value
    ET.SubElement(
        parent, name, {"csd-code": csd, "codeSystemName": system, "originalText": meaning}
    )


def active(root: ET.Element, participant: Participant) -> None:
    """Add an ActiveParticipant."""
    values = {"UserID": legal(participant.user)}
    if participant.alternative:
        values["AlternativeUserID"] = legal(participant.alternative)
    values["UserIsRequestor"] = "true" if participant.is_requestor else "false"
    if participant.point:
        values["NetworkAccessPointID"] = legal(participant.point)
        values["NetworkAccessPointTypeCode"] = participant.point_type
    found = ET.SubElement(root, "ActiveParticipant", values)
    if participant.role is not None:
        code(found, "RoleIDCode", participant.role)


def participating(  # noqa: PLR0913 - the fields of A.5.1
    root: ET.Element, identity: str, type_role: tuple[str, str], kind: Code, *,
    system: str = "DCM", name: str | None = None, query: str | None = None,
) -> ET.Element:  # fmt: skip
    """Add a participating object; the schema requires a name or a query (base64)."""
    found = ET.SubElement(
        root, "ParticipantObjectIdentification",
        ParticipantObjectID=legal(identity),
        ParticipantObjectTypeCode=type_role[0],
        ParticipantObjectTypeCodeRole=type_role[1],
    )  # fmt: skip
    code(found, "ParticipantObjectIDTypeCode", kind, system)
    if query is not None:
        ET.SubElement(found, "ParticipantObjectQuery").text = query
    else:
        ET.SubElement(found, "ParticipantObjectName").text = legal(name or "withheld")
    return found


def detail(parent: ET.Element, kind: str, value: str) -> None:
    """Add a detail to an object; its value is base64."""
    text = base64.b64encode(value.encode()).decode()
    ET.SubElement(parent, "ParticipantObjectDetail", type=kind, value=text)


def contents(parent: ET.Element, counts: Mapping[str, int], instance: str | None = None) -> None:
    """Add the number of instances of each SOP class; ``instance`` names a single one."""
    description = ET.SubElement(parent, "ParticipantObjectDescription")
    for uid, count in counts.items():
        values = {"UID": uid} if uid else {}
        sop_class = ET.SubElement(
            description, "SOPClass", {**values, "NumberOfInstances": str(count)}
        )
        if instance is not None:
            ET.SubElement(sop_class, "Instance", UID=instance)


def legal(text: str) -> str:
    """Replace what XML 1.0 cannot hold: some of these words come from peers."""
    return "".join(each if each.isprintable() else "?" for each in text)
