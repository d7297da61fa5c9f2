"""Decide whether the object that a PACS has already (0111H) is the one that was sent.

The answer to an earlier attempt may have been lost; or another object has the UID. A query for the
object in its study distinguishes the two, where the destination offers it: C-FIND here, QIDO-RS in
`dicom_node.deliver.stow_duplicate`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import
    StudyRootQueryRetrieveInformationModelFind,
)

from dicom_node.config import TlsConfig
from dicom_node.deliver.association import association, status_of
from dicom_node.deliver.status import answered, unavailable
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.values import Answer, SendOutcome
from dicom_node.errors import PeerRefused, PeerUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.uid import UID
    from pynetdicom.association import Association

    from dicom_node.config import DicomDestination
    from dicom_node.ports import Audit

DUPLICATE = 0x0111  # duplicate SOP instance, PS3.7 C.5.5
FIND = StudyRootQueryRetrieveInformationModelFind

_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_MATCHES = (0xFF00, 0xFF01)  # C-FIND pending, PS3.4 Table C.4-1
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

NOT_ANSWERED = unavailable("0x0111 the peer has the UID already; the query was not answered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Compares an object with the one that a PACS has under its UID.

    Parameters
    ----------
    otherwise
        What follows if they cannot be compared: the object counts as accepted, or is held.
    audit
        Records each query before it goes out.
    """

    ae_title: str
    timeout_seconds: float
    otherwise: Literal["accept", "hold"]
    audit: Audit
    tls: TlsConfig = field(default_factory=TlsConfig)

    def answer(self, peer: DicomDestination, path: Path) -> Answer:
        """The answer that counts for an object that was answered 0111H."""
        identifier, sop_class_uid = identifier_of(path)
        contexts = [build_context(FIND, list(_SYNTAXES))]
        try:
            with association(
                self.ae_title, peer, contexts, self.timeout_seconds, self.tls
            ) as assoc:
                self.audit.append(query_event(assoc, peer.name, identifier))
                classes, status = _classes(assoc, identifier)
        except PeerRefused:
            return self.not_compared("the peer offers no query")
        except (PeerUnavailable, RuntimeError):  # the second: pynetdicom's, between two messages
            return NOT_ANSWERED
        if status != 0x0000:
            return self.not_compared("the query failed")
        return self.compared(classes, sop_class_uid)

    def compared(self, classes: set[str], sop_class_uid: str) -> Answer:
        """The answer that counts, by the SOP classes that the query listed for the object."""
        if classes == {""}:
            return self.not_compared("the query does not say the SOP class")
        if not classes:
            return unavailable(
                "0x0111 the peer has the UID already, but does not list it in this study"
            )
        if classes == {sop_class_uid}:
            return Answer(
                SendOutcome.ANSWERED, DUPLICATE,
                "0x0111 the peer has it already: a query found class and study",
            )  # fmt: skip
        reason = "0x0111 the peer has an object of another SOP class under this UID"
        return Answer(SendOutcome.NOT_ACCEPTED, DUPLICATE, reason)

    def not_compared(self, why: str) -> Answer:
        """The answer that counts as `delivery.duplicate` says."""
        reason = f"{answered(DUPLICATE).reason}, not compared: {why}"
        if self.otherwise == "accept":
            return Answer(SendOutcome.ANSWERED, DUPLICATE, reason)
        return Answer(SendOutcome.NOT_ACCEPTED, DUPLICATE, reason)


def identifier_of(path: Path) -> tuple[Dataset, str]:
    """The query for the object in a file, at IMAGE level, and the object's SOP Class UID."""
    ds = dcmread(path, stop_before_pixels=True, specific_tags=[*_UIDS, "SOPClassUID"])
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    for keyword in _UIDS:
        setattr(identifier, keyword, ds.get(keyword, ""))
    identifier.SOPClassUID = ""
    return identifier, str(ds.get("SOPClassUID", ""))


def class_in(match: Dataset, identifier: Dataset) -> str | None:
    """The SOP class of a match, empty if it does not say; None if it is of another object."""
    study = match.get("StudyInstanceUID", identifier.StudyInstanceUID)
    if match.get("SOPInstanceUID") != identifier.SOPInstanceUID:
        return None
    return str(match.get("SOPClassUID") or "") if study == identifier.StudyInstanceUID else None


def _classes(assoc: Association, identifier: Dataset) -> tuple[set[str], int | None]:
    """The SOP classes that the peer lists for the object, and the status of its last response."""
    found: set[str] = set()
    status = None
    for response, match in assoc.send_c_find(identifier, FIND):
        status = status_of(response)
        if status in _MATCHES and match is not None:
            sop_class_uid = class_in(match, identifier)
            found |= set() if sop_class_uid is None else {sop_class_uid}
    return found, status


def query_event(assoc: Association, destination: str, identifier: Dataset) -> AuditEvent:
    """The audit event of a C-FIND (PS3.15 A.5.3.10); its identifier holds UIDs only."""
    [syntax] = [
        cx.transfer_syntax[0] for cx in assoc.accepted_contexts if cx.abstract_syntax == FIND
    ]
    return queried(syntax, destination, identifier)


def queried(syntax: UID, destination: str, identifier: Dataset) -> AuditEvent:
    """The audit event of a query, which a C-FIND encodes in this transfer syntax."""
    encoded = encode(identifier, syntax.is_implicit_VR, syntax.is_little_endian) or b""
    return AuditEvent(
        kind=AuditKind.DESTINATION_QUERIED,
        study_instance_uid=str(identifier.StudyInstanceUID),
        sop_instance_uid=str(identifier.SOPInstanceUID),
        detail={
            "destination": destination,
            "sop_class_uid": str(FIND),
            "transfer_syntax_uid": str(syntax),
            "query": base64.b64encode(encoded).decode(),
        },
    )
