"""Each audit message as PS3.15 A.5 wants it: its schema, its codes, its participants."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from pydicom.sr._concepts_dict import concepts
from support.film import film, write
from support.peer import destination

from dicom_node.audit.messages.events import SENT
from dicom_node.audit.messages.message import AuditMessageBuilder
from dicom_node.audit.messages.patient import PatientNumbers
from dicom_node.config import Config
from dicom_node.dicom.blobs import Folder
from dicom_node.domain.audit import AuditEvent, AuditKind, AuditRecord

SCHEMA = etree.RelaxNG(file=Path(__file__).parents[2] / "support" / "audit_message.rng")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CR = "1.2.840.10008.5.1.4.1.1.1"
CALLER = {"calling": "CR_ROOM_2", "called": "AINODE", "address": "10.0.0.5"}
QUERY = {
    "sop_class_uid": "1.2.840.10008.5.1.4.1.2.2.1",
    "transfer_syntax_uid": "1.2.840.10008.1.2",
    "query": base64.b64encode(b"\x08\x00\x52\x00").decode(),
}
DETAILS: dict[AuditKind, dict[str, Any]] = {
    AuditKind.AUDIT_READ: {"command": "audit tail", "user": "ada"},
    AuditKind.INSTANCE_RECEIVED: {**CALLER, "sop_class_uid": CR},
    AuditKind.INSTANCE_REFUSED: {**CALLER, "reason": "no room \x1b[0m", "status": "0xA700"},
    AuditKind.DELIVERY_BEGUN: {"destination": "pacs", "objects": {CR: 2, "1.2.3": 1}},
    AuditKind.DELIVERY_ACCEPTED: {"destination": "pacs"},
    AuditKind.DESTINATION_QUERIED: {"destination": "pacs", **QUERY},
    AuditKind.ASSOCIATION_REJECTED: {**CALLER, "calling": "BAD\x00AE", "reason": "calling"},
    AuditKind.TLS_FAILED: {"address": "10.0.0.9", "reason": "no certificate"},
    AuditKind.STUDY_ERASED: {"films": 1, "results": 2, "user": "ada"},
    AuditKind.AUDIT_BROKEN: {"reason": "audit log: line 3 to 3: missing", "user": "ada"},
}
NO_STUDY = (  # what A.5.3 wants no study for
    AuditKind.NODE_STARTED, AuditKind.NODE_STOPPED, AuditKind.ASSOCIATION_REJECTED,
    AuditKind.TLS_FAILED, AuditKind.TLS_RELOADED, AuditKind.AUDIT_BROKEN,
)  # fmt: skip
NO_INSTANCE = (
    *NO_STUDY, AuditKind.AUDIT_READ, AuditKind.DELIVERY_BEGUN, AuditKind.STUDY_REMOVED,
    AuditKind.STUDY_ERASED,
)  # fmt: skip


def builder(**more: Any) -> AuditMessageBuilder:
    config = Config.model_validate(
        {"node": {"ae_title": "AINODE", "data_dir": "/data"}, "destinations": [destination(4242)]}
    )
    made = AuditMessageBuilder.of(config, "xray-ai")
    return AuditMessageBuilder(
        ae_title=made.ae_title, host=made.host, log_uri=made.log_uri,
        destinations=made.destinations, **more,
    )  # fmt: skip


def message(
    kind: AuditKind, *, by: AuditMessageBuilder | None = None, study: bool = True
) -> etree._Element:
    event = AuditEvent(
        kind=kind,
        study_instance_uid="1.2" if study and kind not in NO_STUDY else None,
        sop_instance_uid=None if kind in NO_INSTANCE else "1.2.1",
        detail=DETAILS.get(kind, {}),
    )
    line = AuditRecord(sequence=1, at=AT, event=event, previous_hash="0", hash="1")
    message = (by or builder()).message(line)
    assert message is not None
    return etree.fromstring(message)


def users(root: etree._Element) -> list[tuple[str | None, str | None, str | None]]:
    found = []
    for each in root.findall("ActiveParticipant"):
        role = each.find("RoleIDCode")
        code = None if role is None else role.get("csd-code")
        found.append((each.get("UserID"), code, each.get("UserIsRequestor")))
    return found


def objects(root: etree._Element) -> list[etree._Element]:
    found: list[etree._Element] = root.findall("ParticipantObjectIdentification")
    return found


def alert(subject: etree._Element) -> str:
    [detail] = subject.findall("ParticipantObjectDetail")
    assert detail.get("type") == "Alert Description"
    return base64.b64decode(detail.get("value") or "").decode()


@pytest.mark.parametrize("study", [True, False])
@pytest.mark.parametrize("kind", SENT)
def test_every_message_is_valid(kind: AuditKind, study: bool) -> None:
    """Against the schema of A.5.1, whatever a peer has put into its words."""
    SCHEMA.assertValid(message(kind, study=study))


def test_the_schema_finds_what_is_wrong() -> None:
    """Parts in another order, a value that does not exist, a participant too few."""
    root = message(AuditKind.INSTANCE_RECEIVED)
    root.append(root[0])
    assert not SCHEMA.validate(root)
    root = message(AuditKind.INSTANCE_RECEIVED)
    root[0].set("EventOutcomeIndicator", "1")
    assert not SCHEMA.validate(root)
    root = message(AuditKind.NODE_STARTED)
    root.remove(root[1])
    assert not SCHEMA.validate(root)


@pytest.mark.parametrize("kind", SENT)
def test_every_code_is_one_of_the_standard(kind: AuditKind) -> None:
    """With the meaning that PS3.16 gives it."""
    listed: dict[str, Any] = concepts["DCM"]
    known = {code: said[0] for names in listed.values() for code, said in names.items()}
    coded = message(kind).iterfind(".//*[@codeSystemName='DCM']")
    for each in coded:
        assert known[each.get("csd-code")] == each.get("originalText")


@pytest.mark.parametrize("kind", SENT)
def test_at_most_one_participant_is_the_requestor(kind: AuditKind) -> None:
    """PS3.15 A.5.2: never several."""
    assert [requests for *_, requests in users(message(kind))].count("true") <= 1


def test_a_reader_of_the_audit_log_is_named_with_the_log() -> None:
    """A.5.3.2: the person and the process; the log by its URI and nothing else."""
    root = message(AuditKind.AUDIT_READ)
    assert users(root) == [("ada@xray-ai", None, "true"), ("AINODE@xray-ai", "110150", "false")]
    [log] = objects(root)
    assert log.get("ParticipantObjectID") == "file://xray-ai/data/node.db#audit"
    assert log.findtext("ParticipantObjectName") == "Security Audit Log"


def test_a_delivery_that_begins_says_how_many_of_what() -> None:
    """A.5.3.3: source, destination, study, patient; what is meant to be sent."""
    root = message(AuditKind.DELIVERY_BEGUN)
    assert users(root) == [("AINODE@xray-ai", "110153", "true"), ("pacs", "110152", "false")]
    study, patient = objects(root)
    counts = {each.get("UID"): each.get("NumberOfInstances") for each in study.iter("SOPClass")}
    assert counts == {CR: "2", "1.2.3": "1"}
    assert patient.get("ParticipantObjectID") == "withheld"


def test_a_query_is_reported_as_it_was_sent() -> None:
    """A.5.3.10: source, destination, the SOP class, the identifier and its transfer syntax."""
    root = message(AuditKind.DESTINATION_QUERIED)
    assert users(root) == [("AINODE@xray-ai", "110153", "true"), ("pacs", "110152", "false")]
    [query] = objects(root)
    assert query.get("ParticipantObjectID") == QUERY["sop_class_uid"]
    assert query.findtext("ParticipantObjectQuery") == QUERY["query"]
    [syntax] = query.findall("ParticipantObjectDetail")
    assert base64.b64decode(syntax.get("value") or "").decode() == "1.2.840.10008.1.2"


def test_a_broken_audit_log_is_a_major_alert_about_the_log() -> None:
    """A.5.3.11: what was found, on which log, and who looked."""
    root = message(AuditKind.AUDIT_BROKEN)
    assert root[0].get("EventOutcomeIndicator") == "12"
    assert ("ada@xray-ai", None, "true") in users(root)
    [log] = objects(root)
    assert log.get("ParticipantObjectID") == "file://xray-ai/data/node.db#audit"
    assert alert(log) == "audit log: line 3 to 3: missing"


def test_the_subject_of_an_alert_is_not_its_requestor() -> None:
    """A.5.3.11: UserIsRequestor of a performing participant is always false."""
    assert users(message(AuditKind.TLS_FAILED))[0] == ("10.0.0.9", "110153", "false")


def test_a_refused_instance_says_why_and_that_its_study_is_unknown() -> None:
    """A.5.3.7 wants a study and a patient; nothing was taken that could name them."""
    root = message(AuditKind.INSTANCE_REFUSED, study=False)
    assert root.findtext("EventIdentification/EventOutcomeDescription") == "no room ?[0m"
    assert [each.get("ParticipantObjectID") for each in objects(root)] == ["unknown", "withheld"]


def test_the_patient_is_named_by_number_where_that_is_configured(tmp_path: Path) -> None:
    """From a film in the spool; unknown where it has gone or is damaged."""
    write(film(PatientID="PAT-7", PatientName="Doe^Ada"), tmp_path / "film.dcm")
    (tmp_path / "damaged.dcm").write_bytes(b"DICM")
    films = {"1.2": Path("film.dcm"), "1.3": Path("damaged.dcm"), "1.4": Path("gone.dcm")}
    numbers = PatientNumbers(blobs=Folder(tmp_path), film_of=films.get)
    root = message(AuditKind.FILM_READ, by=builder(patient=numbers.number))
    SCHEMA.assertValid(root)
    patient = objects(root)[1]
    assert patient.get("ParticipantObjectID") == "PAT-7"
    assert b"Doe" not in etree.tostring(root)
    assert [numbers.number(each) for each in ("1.3", "1.4", "1.5")] == ["unknown"] * 3
