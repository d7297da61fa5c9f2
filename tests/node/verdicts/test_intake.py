"""HL7 messages become verdicts and answers."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hl7
import pytest
from support.fakes import START, StoreHarness, instance, store_harness
from support.reports import PERSON, oru, poisoned

from dicom_node.domain.audit import AuditKind
from dicom_node.domain.conflicts import accession_key
from dicom_node.domain.verdicts import Fate
from dicom_node.errors import StoreWriteError
from dicom_node.verdicts.acknowledge import Answer
from dicom_node.verdicts.folder import REFUSED, MessageFolder
from dicom_node.verdicts.intake import Intake
from dicom_node.verdicts.report import ReportReader
from dicom_node.verdicts.rules import shipped_rules

SECRET = b"secret of a node"
READER = ReportReader(shipped_rules())


@dataclass
class Site:
    """A node that has study 1.2 with accession number A17 and study 1.3 with A18."""

    node: StoreHarness
    intake: Intake
    folder: Path

    def verdicts(self) -> list[tuple[str, str]]:
        rows = self.node.store.verdicts.listed(99)
        return [(row["study_instance_uid"], row["finding"]) for row in rows]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with store_harness(tmp_path) as node:
        for study, number in (("1.2", "A17"), ("1.3", "A18")):
            node.store.inbox.add(instance(study), accession=accession_key(SECRET, number))
        folder = tmp_path / "messages"
        folder.mkdir()
        yield Site(node, Intake(node.store.verdicts, READER, SECRET, node.clock), folder)


def _answer(answer: Answer) -> tuple[str, str]:
    """MSA-1 and the code of the ERR segment, as a sender reads them."""
    message = hl7.parse(answer.encoded(START).decode())
    error = str(message.segment("ERR")[3]).split("^")[0] if len(message) > 2 else ""
    return str(message.segment("MSA")[1]), error


def test_a_final_report_is_a_verdict_and_accepted(site: Site) -> None:
    """By accession number or study; the answer names the message."""
    answer = site.intake.take(oru("Right basal pneumonia."))
    assert _answer(answer) == ("AA", "")
    assert str(hl7.parse(answer.encoded(START).decode()).segment("MSA")[2]) == "M1"
    site.intake.take(oru("Lungs are clear.", accession="", study="1.3", control_id="M2"))
    assert sorted(site.verdicts()) == [("1.2", "pneumonia"), ("1.3", "normal")]
    [row] = site.node.store.verdicts.listed(1, study="1.2")
    assert row["rule"] == "pneumonia"
    assert row["source"] == "hl7"


def test_a_corrected_report_supersedes_and_a_repeated_message_does_not(site: Site) -> None:
    """A message with a known control ID is no second verdict, whatever is in it."""
    site.intake.take(oru("Pneumonia."))
    assert _answer(site.intake.take(oru("Lungs clear."))) == ("AA", "")
    assert site.verdicts() == [("1.2", "pneumonia")]
    corrected = oru("No pneumonia.", status="C", control_id="M2", at="20260507")
    site.intake.take(corrected)
    assert site.node.store.verdicts.current()["1.2"] == "normal"
    assert site.intake.flush().fates[Fate.SAME] == 1


def test_a_control_id_that_a_sender_uses_again_for_another_study_is_no_repetition(
    site: Site,
) -> None:
    """Some senders begin again at 1: nothing is lost."""
    site.intake.take(oru("Pneumonia."))
    site.intake.take(oru("Pneumonia.", accession="A18"))
    assert len(site.verdicts()) == 2


@pytest.mark.parametrize(
    ("message", "answer", "fate"),
    [
        (oru(accession="A99"), ("AE", "204"), Fate.UNKNOWN),
        (oru(study="9.9"), ("AE", "204"), Fate.UNKNOWN),
        (oru("Pneumonia.", status="P"), ("AA", ""), Fate.PRELIMINARY),
        (oru("The wrist is not swollen."), ("AA", ""), Fate.UNDECIDED),
        (oru(accession="").replace(b"P9", b""), ("AE", "101"), Fate.UNREADABLE),
        (oru(kind="ADT^A01"), ("AR", "200"), Fate.UNREADABLE),
        (oru(processing="D"), ("AR", "202"), Fate.UNREADABLE),
        (b"hello", ("AR", "100"), Fate.UNREADABLE),
        (oru().replace(b"OBR|", b"OBS|"), ("AE", "100"), Fate.UNREADABLE),
    ],
)
def test_what_is_no_verdict_is_answered_with_a_code_and_counted(
    site: Site, message: bytes, answer: tuple[str, str], fate: Fate
) -> None:
    """Nothing is stored."""
    assert _answer(site.intake.take(message)) == answer
    assert site.verdicts() == []
    assert site.intake.flush().fates[fate] == 1


def test_two_studies_of_one_number_are_refused(site: Site) -> None:
    """Also if the placer's number is another study's: neither is guessed."""
    site.node.store.inbox.add(instance("1.4"), accession=accession_key(SECRET, "P9"))
    assert _answer(site.intake.take(oru("Pneumonia."))) == ("AE", "205")
    assert site.verdicts() == []


def test_a_report_from_the_future_counts_from_now(site: Site) -> None:
    """Else no later one could supersede it."""
    site.intake.take(oru("Pneumonia.", at="20990101"))
    assert site.node.store.verdicts.listed(1)[0]["given_at"] == site.node.clock.now


def test_a_verdict_that_cannot_be_written_is_sent_again(site: Site) -> None:
    """The answer is AE, and the file of a folder stays where it is."""

    class Full:
        put = staticmethod(lambda _: (_ for _ in ()).throw(StoreWriteError("disk full")))
        count = staticmethod(lambda *_: None)

    intake = Intake(Full(), READER, SECRET, site.node.clock)
    assert _answer(intake.take(oru())) == ("AE", "207")
    file = _drop(site, "a.hl7", oru())
    MessageFolder(site.folder, intake, site.node.clock).step()
    assert file.exists()


def test_poisoned_reports_are_counted_and_the_good_ones_among_them_stored(site: Site) -> None:
    """As messages and as files: each is answered or moved; `make attack` sends ten thousand."""
    damaged = list(poisoned(300, ["A17"]))
    for number, content in enumerate(damaged):
        assert site.intake.take(content).code in ("AA", "AE", "AR")
        if number % 10 == 0:
            good = oru("Pneumonia.", accession="A18", control_id=f"G{number}")
            assert site.intake.take(good).code == "AA"
    for number, content in enumerate(damaged[:60]):
        _drop(site, f"{number}.hl7", content)
    assert MessageFolder(site.folder, site.intake, site.node.clock).step() == 60
    assert [each.name for each in site.folder.iterdir()] == [REFUSED]
    tally = site.intake.flush()
    assert sum(tally.fates.values()) >= 300 + 30 + 60  # a message may hold several reports
    assert Counter(site.verdicts())["1.3", "pneumonia"] == 30
    kinds = Counter(site.node.kinds())
    assert kinds[AuditKind.VERDICT_STORED] == tally.fates[Fate.STORED] == len(site.verdicts())
    assert kinds[AuditKind.VERDICTS_TAKEN] == 1


def test_a_folder_is_emptied_and_keeps_what_a_person_must_look_at(site: Site) -> None:
    """A file that is still being written waits."""
    watched = MessageFolder(site.folder, site.intake, site.node.clock)
    good = _drop(site, "1.hl7", oru("Pneumonia.") + b"\r" + oru(accession="A18", control_id="M2"))
    unknown, other = _drop(site, "2.hl7", oru(accession="A99")), _drop(site, "3.txt", b"x")
    hidden = _drop(site, ".4.hl7", oru())
    fresh = site.folder / "5.hl7"
    fresh.write_bytes(oru())
    assert watched.step() == 3
    assert not good.exists()
    assert sorted(each.name for each in (site.folder / REFUSED).iterdir()) == ["2.hl7", "3.txt"]
    assert not unknown.exists()
    assert not other.exists()
    assert hidden.exists()
    assert fresh.exists()
    assert len(site.verdicts()) == 2
    site.folder.rename(site.folder.with_name("gone"))
    assert watched.step() == 0


def test_other_users_of_the_folder_lead_no_report_away_and_stop_no_other(site: Site) -> None:
    """A link in place of a folder or file is not followed; what can be taken is taken."""
    elsewhere = site.folder.with_name("elsewhere")
    elsewhere.mkdir()
    (site.folder / REFUSED).symlink_to(elsewhere)
    unknown, good = (
        _drop(site, "1.hl7", oru(accession="A99")),
        _drop(site, "2.hl7", oru("Pneumonia.")),
    )
    (site.folder / "3.hl7").symlink_to(_drop(site, ".secret", oru(accession="A18")))
    os.mkfifo(site.folder / "4.hl7")
    assert MessageFolder(site.folder, site.intake, site.node.clock).step() == 1
    assert unknown.exists()
    assert not good.exists()
    assert not list(elsewhere.iterdir())
    assert site.verdicts() == [("1.2", "pneumonia")]


def test_a_file_of_very_many_messages_is_left_to_a_person(site: Site) -> None:
    """They would take gigabytes of memory; it counts once."""
    _drop(site, "1.hl7", b"MSH\r" * 20_000)
    MessageFolder(site.folder, site.intake, site.node.clock).step()
    assert (site.folder / REFUSED / "1.hl7").exists()
    assert site.intake.flush().fates[Fate.UNREADABLE] == 1


def test_a_field_of_very_many_codes_is_read_in_time(site: Site) -> None:
    """The first hundred count."""
    began = time.process_time()
    content = oru("Pneumonia.", codes="J18.9^Pneumonia^I10" + "~a^b^c" * 30_000)
    assert site.intake.take(content).code == "AA"
    assert time.process_time() - began < 10  # a second; it took minutes


def test_names_birth_dates_and_texts_of_reports_are_kept_nowhere(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither in the database nor in the log, whether a message was taken or not."""
    text = r"Severe BASALWORD pneumonia in HAUPTSTRASSE \Zunknown\."
    for number, message in enumerate(
        [oru(text), oru(text, accession="A99"), oru(text, kind="ADT^A01"), oru(text)[:-9], b"x"]
    ):
        site.intake.take(message.replace(b"|M1|", b"|M%d|" % number))
    site.intake.flush()
    assert set(site.verdicts()) == {("1.2", "pneumonia")}
    printed = "".join(capsys.readouterr())
    kept = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    for word in (*PERSON, "BASALWORD", "4711", "R7&", "A17"):
        assert word not in printed
        assert word.encode() not in kept


def _drop(site: Site, name: str, content: bytes) -> Path:
    path = site.folder / name
    path.write_bytes(content)
    old = site.node.clock.now.timestamp() - 60
    os.utime(path, (old, old))
    return path
