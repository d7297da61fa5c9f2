"""What is sent to an audit repository, and what happens during an outage."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support.certificates import identity
from support.fakes import TABLES, StoreHarness
from support.film import film, write
from support.peer import destination
from support.syslog_server import SyslogServer

from dicom_node.audit.messages.forward import Forwarder
from dicom_node.audit.messages.message import AuditMessageBuilder
from dicom_node.audit.messages.patient import PatientNumbers
from dicom_node.audit.messages.transport import frame
from dicom_node.config import Config, RepositoryConfig
from dicom_node.deliver.retry import RetryPolicy
from dicom_node.dicom.blobs import Folder
from dicom_node.domain.audit import AuditEvent, AuditKind, AuditRecord

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CR = "1.2.840.10008.5.1.4.1.1.1"
CALLER: dict[str, Any] = {"calling": "CR_ROOM_2", "called": "AINODE", "address": "10.0.0.5"}
RECEIVED = AuditEvent(
    kind=AuditKind.INSTANCE_RECEIVED,
    study_instance_uid="1.2",
    sop_instance_uid="1.2.1",
    detail={**CALLER, "sop_class_uid": CR},
)
STARTED = AuditEvent(kind=AuditKind.NODE_STARTED, detail={"port": 104})


def builder() -> AuditMessageBuilder:
    config = Config.model_validate(
        {"node": {"ae_title": "AINODE"}, "destinations": [destination(4242)]}
    )
    return AuditMessageBuilder.of(config, "xray-ai")


def message(event: AuditEvent) -> ET.Element:
    line = AuditRecord(sequence=1, at=AT, event=event, previous_hash="0", hash="1")
    message = builder().message(line)
    assert message is not None
    return ET.fromstring(message)  # noqa: S314 - our own


def code(root: ET.Element, path: str) -> tuple[str | None, str | None]:
    found = root.find(path)
    assert found is not None
    return found.get("csd-code"), found.get("codeSystemName")


def users(root: ET.Element) -> dict[str | None, tuple[str | None, str | None, str | None]]:
    return {
        each.get("UserID"): (
            code(each, "RoleIDCode")[0],
            each.get("UserIsRequestor"),
            each.get("NetworkAccessPointID"),
        )
        for each in root.findall("ActiveParticipant")
    }


def test_a_start_is_an_application_activity() -> None:
    """PS3.15 A.5.3.1: 110100 with 110120, one participant in the role of the application."""
    root = message(STARTED)
    what = root.find("EventIdentification")
    assert what is not None
    assert what.attrib == {
        "EventActionCode": "E",
        "EventDateTime": "2026-01-02T03:04:05.000+00:00",
        "EventOutcomeIndicator": "0",
    }
    assert code(what, "EventID") == ("110100", "DCM")
    assert code(what, "EventTypeCode") == ("110120", "DCM")
    assert users(root) == {"AINODE@xray-ai": ("110150", "false", "xray-ai")}
    source = root.find("AuditSourceIdentification")
    assert source is not None
    assert source.get("AuditSourceID") == "AINODE@xray-ai"


def test_a_received_film_is_reported_with_its_sender_but_not_its_patient() -> None:
    """PS3.15 A.5.3.7: source, destination, study with the instance; the patient is withheld."""
    root = message(RECEIVED)
    assert code(root, "EventIdentification/EventID") == ("110104", "DCM")
    assert users(root) == {
        "CR_ROOM_2": ("110153", "true", "10.0.0.5"),
        "AINODE@xray-ai": ("110152", "false", "xray-ai"),
    }
    study, patient = root.findall("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == "1.2"
    assert code(study, "ParticipantObjectIDTypeCode") == ("110180", "DCM")
    sop_class = study.find("ParticipantObjectDescription/SOPClass")
    assert sop_class is not None
    assert sop_class.attrib == {"UID": CR, "NumberOfInstances": "1"}
    assert [each.get("UID") for each in sop_class] == ["1.2.1"]
    assert patient.get("ParticipantObjectID") == "withheld"


@pytest.mark.parametrize(
    ("kind", "detail", "event", "outcome"),
    [
        (AuditKind.INSTANCE_REFUSED, CALLER, "110104", "4"),
        (AuditKind.FILM_READ, {}, "110103", "0"),
        (AuditKind.STUDY_REMOVED, {}, "110105", "0"),
        (AuditKind.ASSOCIATION_REJECTED, {**CALLER, "reason": "calling-ae-title"}, "110113", "4"),
        (AuditKind.TLS_FAILED, {"address": "10.0.0.9", "reason": "no"}, "110113", "4"),
    ],
)
def test_other_lines(kind: AuditKind, detail: dict[str, Any], event: str, outcome: str) -> None:
    """Each as the event of PS3.15 A.5.3 that it is, with its outcome."""
    study = None if event == "110113" else "1.2"
    root = message(AuditEvent(kind=kind, study_instance_uid=study, detail=detail))
    assert code(root, "EventIdentification/EventID") == (event, "DCM")
    what = root.find("EventIdentification")
    assert what is not None
    assert what.get("EventOutcomeIndicator") == outcome


def test_a_participating_object_has_the_parts_of_the_schema_in_its_order() -> None:
    """PS3.15 A.5.1: type code, name, details, description; what was wrong is a detail in base64."""
    study, patient = message(RECEIVED).findall("ParticipantObjectIdentification")
    kind, name = "ParticipantObjectIDTypeCode", "ParticipantObjectName"
    assert [each.tag for each in study] == [kind, name, "ParticipantObjectDescription"]
    assert [each.tag for each in patient] == [kind, name]
    detail = {**CALLER, "reason": "calling-ae-title"}
    alert = message(AuditEvent(kind=AuditKind.ASSOCIATION_REJECTED, detail=detail))
    [subject] = alert.findall("ParticipantObjectIdentification")
    assert [each.tag for each in subject] == [kind, name, "ParticipantObjectDetail"]
    assert subject[2].attrib == {
        "type": "Alert Description",
        "value": base64.b64encode(b"calling-ae-title").decode(),
    }


def test_a_delivery_names_its_destination() -> None:
    """The node is the source; the destination is named with its address."""
    root = message(
        AuditEvent(
            kind=AuditKind.DELIVERY_ACCEPTED,
            study_instance_uid="1.2",
            sop_instance_uid="2.25.1",
            detail={"destination": "pacs"},
        )
    )
    assert users(root)["AINODE@xray-ai"] == ("110153", "true", "xray-ai")
    assert users(root)["pacs"] == ("110152", "false", "127.0.0.1")


def test_events_without_a_message_are_left_out() -> None:
    """A tick inside the node is no event of PS3.15."""
    line = AuditRecord(
        sequence=1, at=AT, event=AuditEvent(kind=AuditKind.STUDY_READY), previous_hash="", hash=""
    )
    assert builder().message(line) is None


def test_a_frame_is_counted_in_octets() -> None:
    """RFC 5425 4.3; facility 10, severity 5, the message type of PS3.15 A.6."""
    whole = frame(AT, "xray-ai", "Ä".encode())
    length, _, message = whole.partition(b" ")
    assert int(length) == len(message)
    assert message.startswith(b"<85>1 2026-01-02T03:04:05+00:00 xray-ai dicom-node ")
    assert message.endswith(b" DICOM+RFC3881 - \xef\xbb\xbf\xc3\x84")


def forwarder(node: StoreHarness, tmp_path: Path, port: int) -> Forwarder:
    return Forwarder(
        lines=node.store.audit,
        builder=builder(),
        repository=RepositoryConfig(host="127.0.0.1", port=port),
        tls=identity(tmp_path, "node"),
        policy=RetryPolicy(
            first=timedelta(seconds=5), longest=timedelta(seconds=60), max_attempts=9
        ),
        clock=node.clock,
        jitter=lambda: 0.0,
    )


def test_lines_are_sent_in_order_and_once(node: StoreHarness, tmp_path: Path) -> None:
    """A node that starts again goes on where it was."""
    with SyslogServer(identity(tmp_path, "logs")) as server:
        node.store.audit.append(STARTED, RECEIVED, AuditEvent(kind=AuditKind.STUDY_READY))
        forwarder(node, tmp_path, server.port).forward()
        node.store.audit.append(AuditEvent(kind=AuditKind.NODE_STOPPED))
        forwarder(node, tmp_path, server.port).forward()
        codes = [code(each, "EventIdentification/EventID")[0] for each in server.messages]
    assert codes == ["110100", "110104", "110100"]
    assert node.store.audit.position("repository") == 4


def test_an_outage_loses_nothing(node: StoreHarness, tmp_path: Path) -> None:
    """Broken off, then away, then back: each wait is longer, and all lines arrive in order."""
    with SyslogServer(identity(tmp_path, "logs")) as server:
        forwarding = forwarder(node, tmp_path, server.port)
        server.breaks = 1
        node.store.audit.append(*[RECEIVED] * 500)
        forwarding.forward()
        assert (forwarding.failures, node.store.audit.position("repository")) == (1, 0)
    forwarding.forward()  # not before the wait is over
    assert forwarding.failures == 1
    node.clock.tick(6)
    forwarding.forward()
    assert forwarding.failures == 2
    node.store.audit.append(STARTED)
    with SyslogServer(identity(tmp_path, "logs"), server.port) as server:
        node.clock.tick(20)
        forwarding.forward()
        codes = [code(each, "EventIdentification/EventID")[0] for each in server.messages]
    assert codes == ["110104"] * 500 + ["110100"]
    assert forwarding.failures == 0


def test_an_altered_line_is_sent_as_an_alert(node: StoreHarness, tmp_path: Path) -> None:
    """Edited or made unreadable: its present text is not sent, and the lines after it are."""
    with SyslogServer(identity(tmp_path, "logs")) as server:
        node.store.audit.append(
            STARTED, RECEIVED, RECEIVED, AuditEvent(kind=AuditKind.NODE_STOPPED)
        )
        node.sql("UPDATE audit SET sop_instance_uid = '1.2.9' WHERE sequence = 2")
        node.sql("UPDATE audit SET kind = 'x', hash = '' WHERE sequence = 3")
        forwarder(node, tmp_path, server.port).forward()
        codes = [code(each, "EventIdentification/EventID")[0] for each in server.messages]
    assert codes == ["110100", "110113", "110113", "110100"]
    assert not any(b"1.2.9" in each for each in server.heard)


def test_a_patients_number_is_sent_and_not_stored(
    node: StoreHarness, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """If configured: in the message, but neither in the audit log nor in the log file."""
    film_of = node.receive().path
    write(film(PatientID="PAT-7"), tmp_path / film_of)
    numbers = PatientNumbers(blobs=Folder(tmp_path), film_of=node.store.queries.film_of)
    with SyslogServer(identity(tmp_path, "logs")) as server:
        forwarding = forwarder(node, tmp_path, server.port)
        forwarding.builder = replace(forwarding.builder, patient=numbers.number)
        forwarding.forward()
        [message] = server.messages
    patient = message.findall("ParticipantObjectIdentification")[1]
    assert patient.get("ParticipantObjectID") == "PAT-7"
    assert not any("PAT-7" in str(row) for table in TABLES for row in node.rows(table))
    assert "PAT-7" not in "".join(capfd.readouterr())


def test_nothing_is_sent_to_a_server_without_a_trusted_certificate(
    node: StoreHarness, tmp_path: Path
) -> None:
    """Its certificate must be signed by an authority of `tls.ca_file`, for its name."""
    import trustme

    stranger = identity(tmp_path, "stranger", trustme.CA())
    with SyslogServer(stranger) as server:
        node.store.audit.append(STARTED)
        forwarder(node, tmp_path, server.port).forward()
    assert server.heard == []
    assert node.store.audit.position("repository") == 0
