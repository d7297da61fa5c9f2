"""Verdicts reach a running node: reports by MLLP, signed SR and key objects by C-STORE."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    generate_uid,
)
from support.film import film, phantom, write
from support.peer import Peer, destination, free_port
from support.reports import PERSON, oru
from support.running import STAND_IN, RunningNode, running_node

NAME, BIRTH = "ZWETSCHGE^PLANTED", "19481231"
TEXT = "PLANTEDWORD in the right lower lobe: pneumonia."
REVIEWER = "QUITTE^PLANTED"
PLANTED = (*PERSON, "ZWETSCHGE", "PLANTED", "QUITTE", BIRTH, "1948-12-31", "1951-02-03")
#: What lies below the data folder and is DICOM of patients; see docs/DEPLOYMENT.md.
DICOM = ("spool", "results")


@dataclass
class Site:
    """A running node that read one film, and where its listener is."""

    node: RunningNode
    pacs: Peer
    port: int
    source: Dataset
    folder: Path

    def answer_to(self, message: bytes) -> str:
        """Send a message until it is answered; MSA-1."""
        answers: list[bytes] = []

        def answered() -> bool:
            address = "127.0.0.1", self.port
            with suppress(OSError), socket.create_connection(address, 20) as ris:
                ris.sendall(b"\x0b" + message + b"\x1c\r")
                answers.append(ris.recv(4096))
            return bool(answers and answers[-1])

        self.node.wait_until(answered)
        return answers[-1].split(b"MSA|", 1)[1][:2].decode()

    def verdicts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.node.cli("verdicts", "list", "--limit", "99", "--json")
        return found

    def rules(self, source: str) -> set[str]:
        """Which rules found the verdicts of a source."""
        return {each["rule"] for each in self.verdicts() if each["source"] == source}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    source = film(
        phantom(opacity=0.9), AccessionNumber="A17", PatientName=NAME, PatientBirthDate=BIRTH
    )
    (folder / "node").mkdir()
    port = free_port()
    with (
        Peer(folder / "pacs") as pacs,
        running_node(
            folder / "node",
            [destination(pacs.port)],
            environment=STAND_IN,
            verdicts={"mllp": {"port": port}},
        ) as node,
    ):
        node.send([write(source, folder / "film.dcm")])
        node.wait_until(lambda: node.delivered(2))
        yield Site(node, pacs, port, source, folder)


def test_a_report_that_was_acknowledged_is_counted_by_performance(site: Site) -> None:
    """One study with pneumonia; one is too few to say more."""
    assert site.answer_to(oru(TEXT, control_id="P1")) == "AA"
    (group,) = site.node.cli("performance", "--json")["groups"].values()
    assert (group["studies"], group["missing"], group["ill"]) == (1, 0, 1)
    assert group["too_few_to_say"]
    assert site.answer_to(oru(TEXT, accession="A99", control_id="P2")) == "AE"


def test_a_killed_listener_is_started_again_and_no_acknowledged_message_is_lost(
    site: Site,
) -> None:
    """One that was under way is sent again, and is one verdict."""
    messages = {
        f"2026-03-0{day}": oru("Pneumonia.", control_id=f"K{day}", at=f"2026030{day}120000+0000")
        for day in range(1, 4)
    }
    for number, message in enumerate(messages.values()):
        if number == 1:
            listener = site.node.pids()["verdicts-1"]
            with socket.create_connection(("127.0.0.1", site.port), 20) as connection:
                connection.sendall(b"\x0b" + message + b"\x1c\r")
                os.kill(listener, signal.SIGKILL)
        assert site.answer_to(message) == "AA"
    stored = Counter(str(each["given_at"])[:10] for each in site.verdicts())
    assert {day: stored[day] for day in messages} == dict.fromkeys(messages, 1)
    lines = site.node.cli("audit", "tail", "-n", "500", "--json")
    ended = [each["detail"] for each in lines if each["kind"] == "process-exited"]
    assert [each["process"] for each in ended].count("verdicts-1") == 1


def test_a_signed_report_and_key_objects_sent_by_c_store_are_verdicts(site: Site) -> None:
    """About results that the node delivered."""
    results = [pydicom.dcmread(path) for path in site.pacs.instances().values()]
    report = next(ds for ds in results if ds.Modality == "SR")
    picture = next(ds for ds in results if ds.Modality != "SR")
    signed = _review(site.source, ComprehensiveSRStorage, report, "121071")
    signed.VerificationFlag = "VERIFIED"
    observer = Dataset()
    observer.VerifyingObserverName, observer.VerificationDateTime = REVIEWER, "20260301101112"
    signed.VerifyingObserverSequence = [observer]
    signed.ContentSequence.append(_text(f"PLANTEDWORD {TEXT}"))
    rejected = _review(site.source, KeyObjectSelectionDocumentStorage, picture, "113001")
    paths = [site.folder / name for name in ("sr.dcm", "kos.dcm")]
    for ds, path in zip((signed, rejected), paths, strict=True):
        ds.save_as(path, enforce_file_format=True)
    assert site.node.send(paths) == [0x0000, 0x0000]
    site.node.wait_until(lambda: site.rules("dicom") == {"pneumonia", "disagreement"})


def test_no_name_birth_date_or_text_of_a_report_is_in_database_or_log(site: Site) -> None:
    """Nor in what the commands print; only the DICOM files name the patient."""
    site.answer_to(oru(TEXT, control_id="N1"))
    site.answer_to(oru(TEXT, control_id="N2", kind="ADT^A01"))
    printed = [
        site.node.run(*words, "--json").stdout
        for words in (("audit", "tail", "-n", "500"), ("verdicts", "list"), ("status",))
    ]
    files = [
        path.read_bytes() for path in site.node.data_dir.rglob("*")
        if path.is_file() and path.relative_to(site.node.data_dir).parts[0] not in DICOM
    ]  # fmt: skip
    assert any(content.startswith(b"SQLite format 3") for content in files)
    kept = b"".join([*files, site.node.log().encode(), *(each.encode() for each in printed)])
    assert [word for word in PLANTED if word.encode() in kept] == []


def _code(value: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", "x"
    return code


def _text(text: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", text
    item.ConceptNameCodeSequence = [_code("121071")]
    return item


def _review(source: Dataset, sop_class: str, about: Dataset, title: str) -> Dataset:
    """A document in the film's study that refers to one of our results."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex",
                    "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber"):  # fmt: skip
        setattr(ds, keyword, source.get(keyword, ""))
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.SeriesInstanceUID, ds.Modality = generate_uid(), "SR"
    ds.ContentDate, ds.ContentTime = "20260301", "101112"
    ds.ValueType, ds.ConceptNameCodeSequence = "CONTAINER", [_code(title)]
    reference, item = Dataset(), Dataset()
    reference.ReferencedSOPClassUID = about.SOPClassUID
    reference.ReferencedSOPInstanceUID = about.SOPInstanceUID
    item.RelationshipType, item.ValueType = "CONTAINS", "COMPOSITE"
    item.ReferencedSOPSequence = [reference]
    ds.ContentSequence = [item]
    return ds
