"""Reading HL7 messages."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.reports import oru

from dicom_node.verdicts.hl7_message import (
    Fault,
    MessageRefused,
    is_hl7,
    read_message,
    split_messages,
)


def test_a_report_with_its_study_status_time_and_reader() -> None:
    """The accession number is the filler's or the placer's order number."""
    [order] = read_message(oru("No effusion.\nPneumonia.", study="1.2.3")).orders
    assert order.study_instance_uid == "1.2.3"
    assert order.numbers == ("A17", "P9")
    assert order.status == "F"
    assert order.given_at == datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
    assert order.reader == "R7"
    assert order.sections == [("Impression", "No effusion.\nPneumonia.")]


def test_escape_sequences_are_read_and_never_repeated_without_limit() -> None:
    """A message asks for a thousand million line feeds, and gets one."""
    text = "No \\T\\ pneumonia\\.br\\Caf\\XE9\\ \\.sp999999999\\\\H\\end\\N\\"
    [order] = read_message(oru(text)).orders
    assert order.sections[0][1] == "No & pneumonia\nCafé \nend"


def test_a_study_is_also_named_in_an_observation() -> None:
    """As IHE RAD-28 and RAD-128 do; the last ZDS of a message holds for its only study."""
    for line in (
        "OBX|3|HD|^Study Instance UID|1|1.2.9",
        "OBX|3|ST|113014^DICOM Study^DCM||1.2.9",
        "IPC|A17|1|1.2.9",
    ):
        [order] = read_message(oru() + b"\r" + line.encode()).orders
        assert order.study_instance_uid == "1.2.9"


@pytest.mark.parametrize("text", ["1..9", ".", "1.2.", "1" * 65])
def test_what_is_no_uid_names_no_study(text: str) -> None:
    """The accession number does."""
    [order] = read_message(oru(study=text)).orders
    assert order.study_instance_uid == ""


def test_codes_and_their_alternatives_are_kept_with_their_system() -> None:
    """Each repetition of a coded value."""
    [order] = read_message(oru(codes="J18.9^Pneumonia^I10^233604007^Pneumonia^SCT~X")).orders
    assert ("I10", "J18.9") in order.codes
    assert ("SCT", "233604007") in order.codes


def test_lines_that_are_not_final_do_not_count() -> None:
    """An observation that was deleted or is preliminary."""
    message = oru() + b"\rOBX|2|TX|1^x^L||Pneumonia.||||||D\rOBX|3|TX|1^x^L||Pneumonia.||||||P"
    [order] = read_message(message).orders
    assert len(order.sections) == 1


@pytest.mark.parametrize("charset", ["UNICODE UTF-8", "8859/1", ""])
def test_umlauts_are_read_in_the_message_s_character_set(charset: str) -> None:
    """And without one, as UTF-8 or else Latin."""
    [order] = read_message(oru("Ausgeprägter Erguß", charset=charset)).orders
    assert order.sections[0][1] == "Ausgeprägter Erguß"
    latin = oru("Ausgeprägter Erguß", charset="").decode().encode("latin-1")
    assert read_message(latin).orders[0].sections[0][1] == "Ausgeprägter Erguß"


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (b"", Fault.SEGMENTS),
        (b"MSH", Fault.SEGMENTS),
        (b"MSH||||||", Fault.SEGMENTS),
        (b"PID|1", Fault.SEGMENTS),
        (oru(kind="ADT^A01"), Fault.MESSAGE_TYPE),
        (oru(kind="ORU^R30"), Fault.EVENT),
        (oru(processing="T"), Fault.PROCESSING),
        (oru(control_id=""), Fault.MISSING),
        (oru().split(b"\rORC")[0], Fault.SEGMENTS),
    ],
)
def test_a_message_that_is_not_taken(message: bytes, fault: Fault) -> None:
    """With the code of HL7 table 0357."""
    with pytest.raises(MessageRefused) as refused:
        read_message(message)
    assert refused.value.fault is fault


def test_the_messages_of_a_file_are_found() -> None:
    """In a batch, in frames of MLLP, with any line ends."""
    batch = b"FHS|x\rBHS|x\r" + oru() + b"\r" + oru(control_id="M2") + b"\rBTS|2\rFTS|1"
    framed = b"\x0b" + oru() + b"\x1c\r\x0b" + oru(control_id="M2") + b"\x1c\r"
    for content in (batch, framed, batch.replace(b"\r", b"\r\n")):
        assert is_hl7(content)
        ids = [read_message(each).header.control_id for each in split_messages(content)]
        assert ids == ["M1", "M2"]
    assert split_messages(b"accession,finding\nA,normal") == []


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 60))
def test_any_broken_message_is_refused_or_read(noise: bytes, place: int, length: int) -> None:
    """Nothing else is raised, wherever it is broken."""
    whole = oru("Pneumonia.", study="1.2", codes="J18^x^I10")
    for content in (whole[:place] + noise + whole[place + length :], b"MSH" + noise, noise):
        with suppress(MessageRefused):
            assert read_message(content).orders
