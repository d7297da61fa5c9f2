"""HL7 messages against the receiver of python-hl7, polite and otherwise."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answers import NO_ANSWER, NOT_ACCEPTED, NOT_SENT, UNAVAILABLE, UNREADABLE, said
from support.certificates import authority
from support.every_object import whole_set
from support.messages import reports
from support.mllp import Act, Mllp
from support.objects import composed, context, small_film
from support.peer import free_port, silent_port

from dicom_node import compose
from dicom_node.config import Hl7Destination, TlsConfig
from dicom_node.deliver.messages.hl7 import Hl7Sender
from dicom_node.deliver.messages.oru import escaped
from dicom_node.domain.values import Edition, Identity

ACCEPTED = (0x0000, "AA accepted")


def receiver(port: int, **keys: object) -> Hl7Destination:
    known = {"kind": "hl7", "name": "ris", "host": "127.0.0.1", "port": port}
    return Hl7Destination.model_validate(known | keys)


def sender(port: int, seconds: float = 5.0, **keys: object) -> Hl7Sender:
    return Hl7Sender([receiver(port, **keys)], seconds, TlsConfig())


def observed(mllp: Mllp, at: int = -1) -> dict[str, list[str]]:
    """Text of the code -> fields, of every OBX segment of a message."""
    return {fields[3].split("^")[1]: fields for fields in mllp.fields("OBX", at)}


def test_a_report_arrives_as_a_result_of_its_order(tmp_path: Path) -> None:
    """Patient, accession number, finding in words, score, cut-off, model, study, a warning."""
    paths = reports(tmp_path, AccessionNumber="A77", PatientName="Doe^Jane^^Dr^MD")
    with Mllp() as mllp:
        assert said(sender(mllp.port).send("ris", paths)) == [ACCEPTED]
        message = mllp.messages[0]
        assert str(message["MSH"][0][9]) == "ORU^R01^ORU_R01"
        assert str(message["MSH"][0][18]) == "UNICODE UTF-8"
        assert mllp.fields("PID")[0][3] == "PHANTOM-1"
        assert mllp.fields("PID")[0][5] == "Doe^Jane^^MD^Dr^^L^A"
        assert mllp.fields("OBR")[0][18] == "A77"
        assert mllp.fields("OBR")[0][25] == "P"
        assert mllp.fields("NTE")[0][3] == "Research only, not for diagnostic use"
        found = observed(mllp)
        assert found["Pneumonia"][5] == "above cut-off"
        assert found["Pneumonia probability"][5:9] == ["87", "%", "<50", "A"]
        assert found["Cut-off of the pneumonia score"][5] == "50"
        assert found["COVID-19 probability"][5:9] == ["71", "%", "<40", "A"]
        assert found["Version of the networks"][5] == "0.1.0"
        assert found["DICOM Study"][5].startswith("^1.")
        assert "not for diagnostic use" in found["Narrative Summary"][5]


def test_a_finding_below_the_cut_off_is_not_flagged(tmp_path: Path) -> None:
    """An abnormal flag stands above the cut-off only; N would call the film normal."""
    with Mllp() as mllp:
        said(sender(mllp.port).send("ris", reports(tmp_path, films=2)[1:]))
        found = observed(mllp)
        assert found["Pneumonia"][5] == "below cut-off"
        assert found["Pneumonia"][8] == ""
        assert "COVID-19" not in found


def test_the_films_of_a_study_are_one_message(tmp_path: Path) -> None:
    """An order segment for each film; all have the one answer."""
    with Mllp() as mllp:
        assert said(sender(mllp.port).send("ris", reports(tmp_path, films=3))) == [ACCEPTED] * 3
        assert len(mllp.messages) == 1
        assert [fields[1] for fields in mllp.fields("OBR")] == ["1", "2", "3"]


def test_two_readings_of_a_study_are_two_messages(tmp_path: Path) -> None:
    """Otherwise a repeat of the first would be another message after the second."""
    paths = [*reports(tmp_path / "one"), *reports(tmp_path / "two")]
    with Mllp() as mllp:
        assert said(sender(mllp.port).send("ris", paths)) == [ACCEPTED] * 2
        assert len({str(each["MSH"][0][10]) for each in mllp.messages}) == 2


@pytest.mark.parametrize(
    ("act", "outcome", "reason"),
    [
        (("AE", "204"), NOT_ACCEPTED, "AE 204, not accepted"),
        (("AR", ""), NOT_ACCEPTED, "AR without an error code, not accepted"),
        (("AE", "207"), UNAVAILABLE, "AE 207, not now"),
        (("??", ""), NO_ANSWER, "the answer has an unknown code"),
        (b"\x0bMSH|^~\\&|\rMSA|AA|OTHER\r\x1c\r", NO_ANSWER, "the answer is to another message"),
        (b"\x0bHTTP/1.1 400\x1c\r", NO_ANSWER, "the answer is no HL7 acknowledgement"),
        (b"\x0b\x1c\r", NO_ANSWER, "the answer is no HL7 acknowledgement"),
        (b"\x0b MSHERR|||206^xMSH|\x1c\r", NO_ANSWER, "the answer is no HL7 acknowledgement"),
    ],
)
def test_an_answer_decides_and_its_text_is_not_kept(
    act: Act, outcome: object, reason: str, tmp_path: Path
) -> None:
    """A rejection is held with its code, a passing fault is tried again, the rest is unanswered."""
    with Mllp([act]) as mllp:
        assert said(sender(mllp.port).send("ris", reports(tmp_path))) == [(outcome, reason)]


def test_a_repeat_is_the_same_message(tmp_path: Path) -> None:
    """No answer in time: every film is unanswered, and the repeat has the same control ID."""
    paths = reports(tmp_path, films=2)
    with Mllp([None]) as mllp:
        unanswered = (NO_ANSWER, "no answer from 127.0.0.1 in time")
        assert said(sender(mllp.port, 0.2).send("ris", paths)) == [unanswered] * 2
        assert said(sender(mllp.port).send("ris", paths)) == [ACCEPTED] * 2
        first, second = mllp.messages
        assert str(first) == str(second)


def test_what_follows_an_unanswered_message_is_not_sent(tmp_path: Path) -> None:
    """The receiver hangs, perhaps because of this message."""
    paths = [*reports(tmp_path / "one"), *reports(tmp_path / "two")]
    with Mllp([None]) as mllp:
        outcomes = [what for what, _ in said(sender(mllp.port, 0.2).send("ris", paths))]
        assert outcomes == [NO_ANSWER, NOT_SENT]
        assert len(mllp.messages) == 1


def test_a_receiver_that_is_away_is_asked_again(tmp_path: Path) -> None:
    """Nothing went out."""
    [(outcome, reason)] = said(sender(free_port()).send("ris", reports(tmp_path)))
    assert outcome == UNAVAILABLE
    assert "Connection refused" in reason


def test_no_report_is_no_message(tmp_path: Path) -> None:
    """A file that is no coded report, or is away, is held; the others go out."""
    text = tmp_path / "text.dcm"
    compose.write(whole_set(small_film())["basic-text"], text)
    with Mllp() as mllp:
        answers = said(
            sender(mllp.port).send("ris", [text, tmp_path / "no.dcm", *reports(tmp_path)])
        )
        assert [what for what, _ in answers] == [UNREADABLE, UNREADABLE, 0x0000]


def test_a_refusal_is_said_with_its_code(tmp_path: Path) -> None:
    """No score, the reason as a code and in words."""
    path = tmp_path / "refusal.dcm"
    compose.write(whole_set(small_film())["refusal"], path)
    with Mllp() as mllp:
        said(sender(mllp.port).send("ris", [path]))
        found = observed(mllp)
        assert found["Why the film was not read"][5]
        assert found["Narrative Summary"][5].startswith("Not read: ")
        assert not any("probability" in name for name in found)


def test_a_site_states_its_codes_and_names(tmp_path: Path) -> None:
    """Fields of the header and codes of observations are configured."""
    keys: dict[str, Any] = {
        "codes": {"pneumonia_score": "PNEU^Pneumonia AI^L", "procedure": "CXR^Chest^L"},
        "sending_application": "AI", "sending_facility": "North|South", "processing_id": "T",
    }  # fmt: skip
    with Mllp() as mllp:
        said(sender(mllp.port, **keys).send("ris", reports(tmp_path)))
        header = mllp.fields("MSH")[0]
        assert header[3:5] == ["AI", "North\\F\\South"]
        assert header[11] == "T"
        assert mllp.fields("OBR")[0][4] == "CXR^Chest^L"
        assert observed(mllp)["Pneumonia AI"][5] == "87"


def test_a_pseudonymous_destination_learns_no_name(tmp_path: Path) -> None:
    """The report of its identity is all that a message is made of."""
    film = small_film(PatientName="Doe^Jane", AccessionNumber="A77")
    edition = Edition(identity=Identity.PSEUDONYM)
    what = context(summary=False, heatmaps="none")
    header, what = compose.restrict(film, replace(what, edition=edition, secret=b"s" * 32))
    [report] = composed(header, what=what)
    compose.write(report, tmp_path / "report.dcm")
    with Mllp() as mllp:
        assert said(sender(mllp.port).send("ris", [tmp_path / "report.dcm"])) == [ACCEPTED]
        said_of_patient = str(mllp.messages[0])
        for stated in ("Doe", "A77", "PHANTOM-1", "19700101", str(film.StudyInstanceUID)):
            assert stated not in said_of_patient


def test_a_name_in_other_letters_has_its_forms(tmp_path: Path) -> None:
    """Alphabetic and ideographic forms; a receiver with a narrow character set gets none of it."""
    paths = reports(tmp_path, PatientName="Wang^XiaoDong=王^小東")
    with Mllp() as mllp:
        said(sender(mllp.port).send("ris", paths))
        assert mllp.fields("PID")[0][5] == "Wang^XiaoDong^^^^^L^A~王^小東^^^^^L^I"
        [(outcome, reason)] = said(sender(mllp.port, charset="iso-8859-1").send("ris", paths))
        assert outcome == UNREADABLE
        assert "configure charset" in reason
        assert len(mllp.messages) == 1


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x1c\x85\u2028\u2029")))
def test_a_text_with_delimiters_comes_back(text: str) -> None:
    """Any text is one field; only control characters become spaces."""
    field = escaped(text)
    message = hl7.parse(f"MSH|^~\\&|A\rOBX|{field}|end\r")
    assert str(message["OBX"][0][2]) == "end"
    assert message.unescape(str(message["OBX"][0][1])) == "".join(
        "\r" if each == "\n" else " " if each < " " or each == "\x7f" else each for each in text
    )


def test_tls_shows_the_receiver_and_a_stranger_gets_nothing(tmp_path: Path) -> None:
    """With tls the receiver's certificate is checked against tls.ca_file."""
    ours, strange = authority(), authority("Other CA")
    ca_file = tmp_path / "ca.pem"
    ours.cert_pem.write_to_path(str(ca_file))
    tls = TlsConfig(ca_file=ca_file)
    paths: Sequence[Path] = reports(tmp_path)
    for ca, expected in ((ours, ACCEPTED[0]), (strange, UNAVAILABLE)):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        with Mllp(context=context) as mllp:
            to = receiver(mllp.port, tls=True)
            [(outcome, _)] = said(Hl7Sender([to], 5.0, tls).send("ris", paths))
            assert outcome == expected


def test_echo_says_whether_the_receiver_takes_connections() -> None:
    """Nothing is sent: HL7 has no test message."""
    with Mllp() as mllp:
        assert sender(mllp.port).echo("ris").ok
        assert mllp.messages == []
    assert not sender(free_port()).echo("ris").ok


def test_a_dripping_answer_has_an_end(tmp_path: Path) -> None:
    """A peer that never answers costs twice the time-out at most."""
    with silent_port() as port:
        [(outcome, _)] = said(sender(port, 0.2).send("ris", reports(tmp_path)))
        assert outcome in (NO_ANSWER, UNAVAILABLE)
