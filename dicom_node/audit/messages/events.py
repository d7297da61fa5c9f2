"""Which audit lines are sent to the repository, and as which event of PS3.15 A.5.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dicom_node.domain.audit import AuditKind

if TYPE_CHECKING:
    from collections.abc import Mapping

Code: TypeAlias = tuple[str, str]  # value and meaning, by default of DCM (PS3.16 CID 400 to 403)

APPLICATION_ACTIVITY = ("110100", "Application Activity")
AUDIT_LOG_USED = ("110101", "Audit Log Used")
BEGIN_TRANSFERRING = ("110102", "Begin Transferring DICOM Instances")
ACCESSED = ("110103", "DICOM Instances Accessed")
TRANSFERRED = ("110104", "DICOM Instances Transferred")
DELETED = ("110105", "DICOM Study Deleted")
QUERY = ("110112", "Query")
SECURITY_ALERT = ("110113", "Security Alert")

_START = ("110120", "Application Start")
_STOP = ("110121", "Application Stop")
_NODE_AUTHENTICATION = ("110126", "Node Authentication")
_SECURITY_CONFIGURATION = ("110129", "Security Configuration")
_OBJECT_SECURITY = ("110135", "Object Security Attributes Changed")

APPLICATION = ("110150", "Application")
DESTINATION = ("110152", "Destination Role ID")
SOURCE = ("110153", "Source Role ID")

STUDY_UID = ("110180", "Study Instance UID")
SOP_CLASS_UID = ("110181", "SOP Class UID")
NODE_ID = ("110182", "Node ID")
PATIENT_NUMBER = ("2", "Patient Number")  # of RFC-3881, like the next
URI = ("12", "URI")

_SUCCESS, _MINOR_FAILURE, _MAJOR_FAILURE = "0", "4", "12"  # EventOutcomeIndicator


@dataclass(frozen=True, slots=True)
class Event:
    """The PS3.15 event that an audit line becomes."""

    what: Code
    action: str  # EventActionCode: Create, Read, Delete, Execute
    kind: Code | None = None  # EventTypeCode
    outcome: str = _SUCCESS


#: The audit lines that are sent. PS3.15 A.5.3 has no event for the others.
SENT: Mapping[AuditKind, Event] = {
    AuditKind.NODE_STARTED: Event(APPLICATION_ACTIVITY, "E", _START),
    AuditKind.NODE_STOPPED: Event(APPLICATION_ACTIVITY, "E", _STOP),
    AuditKind.AUDIT_READ: Event(AUDIT_LOG_USED, "R"),
    AuditKind.INSTANCE_RECEIVED: Event(TRANSFERRED, "C"),
    AuditKind.INSTANCE_REFUSED: Event(TRANSFERRED, "C", outcome=_MINOR_FAILURE),
    AuditKind.FILM_READ: Event(ACCESSED, "R"),
    AuditKind.DELIVERY_BEGUN: Event(BEGIN_TRANSFERRING, "E"),
    AuditKind.DELIVERY_ACCEPTED: Event(TRANSFERRED, "C"),
    AuditKind.DESTINATION_QUERIED: Event(QUERY, "E"),
    AuditKind.STUDY_REMOVED: Event(DELETED, "D"),
    AuditKind.STUDY_ERASED: Event(DELETED, "D"),
    AuditKind.ASSOCIATION_REJECTED: Event(
        SECURITY_ALERT, "E", _NODE_AUTHENTICATION, _MINOR_FAILURE
    ),
    AuditKind.TLS_FAILED: Event(SECURITY_ALERT, "E", _NODE_AUTHENTICATION, _MINOR_FAILURE),
    AuditKind.TLS_RELOADED: Event(SECURITY_ALERT, "E", _SECURITY_CONFIGURATION),
    # CID 403 has no type for an altered audit log; major: security may be compromised.
    AuditKind.AUDIT_BROKEN: Event(SECURITY_ALERT, "E", _OBJECT_SECURITY, _MAJOR_FAILURE),
}
