"""Attacks by an allowed peer: with UIDs, studies, words and the time of others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from attacks.target import Outcome, becomes, small, store, target
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import BasicTextSRStorage, generate_uid
from support.film import film
from support.peer import Peer

import dicom_node


def never_quiet(folder: Path) -> Iterator[Outcome]:
    """A tiny object a second under a study's UID, so that the study is never read."""
    study = {"quiet_seconds": 2.0, "longest_wait_seconds": 8.0}
    with target(folder, study=study) as node:
        uid = generate_uid()
        victim = film(StudyInstanceUID=uid, BodyPartExamined="HAND")
        store(node.port, victim, calling="MODALITY")
        began = time.monotonic()
        while node.decision(victim) == "undecided" and time.monotonic() - began < 40:
            store(node.port, small(BasicTextSRStorage, StudyInstanceUID=uid))
            time.sleep(1)
        decision = node.decision(victim)
        yield Outcome(
            attack="a study that is never quiet",
            held=decision not in ("undecided", "unknown"),
            said=f"{decision} after {time.monotonic() - began:.0f} s",
        )


def first_wins(folder: Path) -> Iterator[Outcome]:
    """Another object sent first under a film's UID; forged equipment; versions without end."""
    with target(folder) as node:
        uid = generate_uid()
        store(node.port, small(SOPInstanceUID=uid))
        true = film(SOPInstanceUID=uid, BodyPartExamined="CHEST")
        said = store(node.port, true, calling="MODALITY")
        alarms = node.alarms()
        yield Outcome(
            attack="the same UID sent first",
            held=said not in ([0],) or any("another object" in each for each in alarms),
            said=f"the film is answered {said}, alarms: {len(alarms)}",
        )
        forged = film(Manufacturer="dicom-node project", DeviceSerialNumber="0")
        forged.ManufacturerModelName = dicom_node.MODEL_NAME
        said = store(node.port, forged, calling="MODALITY")
        decision = node.decision(forged)
        yield Outcome(
            attack="a film that says the node made it",
            held=said != [0] or decision != "unknown",
            said=f"answered {said}, {decision}",
        )
        before = len(list(node.data_dir.glob("spool/instances/*/*")))
        for number in range(30):
            store(node.port, small(SOPInstanceUID=uid, PatientComments=f"v{number}"))
        kept = len(list(node.data_dir.glob("spool/instances/*/*"))) - before
        yield Outcome(
            attack="thirty versions of one UID", held=kept < 10, said=f"{kept} files more"
        )


def joins_a_study(folder: Path) -> Iterator[Outcome]:
    """Another patient's film under a patient's Study UID."""
    with Peer(folder / "pacs") as pacs, target(folder / "node", **_to(pacs)) as node:
        uid = generate_uid()
        true = film(StudyInstanceUID=uid, PatientID="R-1", BodyPartExamined="HAND")
        store(node.port, true, calling="MODALITY")
        becomes(pacs.instances, 60)
        foreign = film(StudyInstanceUID=uid, PatientID="O-2", BodyPartExamined="KNEE")
        said = store(node.port, foreign, calling="STRANGER")
        yield Outcome(
            attack="a stranger's film in a patient's study",
            held=said != [0] and any("another patient" in each for each in node.alarms()),
            said=f"answered {[hex(each or 0) for each in said]}",
        )


def words(folder: Path) -> Iterator[Outcome]:
    """Markup for the terminal and HTML for a viewer in a film's header."""
    with Peer(folder / "pacs") as pacs, target(folder / "node", **_to(pacs)) as node:
        first = film(BodyPartExamined="[/X]")
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator = "1", "99X"
        code.CodeMeaning = "<img src=x onerror=alert(1)>"
        second = film(without=["BodyPartExamined"], AnatomicRegionSequence=Sequence([code]))
        store(node.port, first, second, calling="CD_IMPORT")
        becomes(lambda: len(pacs.instances()) >= 2, 60)
        for command in (["show", str(first.StudyInstanceUID)], ["audit", "tail"], ["studies"]):
            done = node.run(*command)
            yield Outcome(
                attack=f"markup in a header, then `{command[0]}`",
                held=done.returncode == 0 and "Traceback" not in done.stderr,
                said=f"exit status {done.returncode}",
            )
        reports = [path.read_bytes() for path in (folder / "pacs").rglob("*") if path.is_file()]
        found = [each for each in reports if b"<img" in each]
        yield Outcome(
            attack="HTML in a code's meaning",
            held=bool(reports) and not found,
            said=f"in {len(found)} of {len(reports)} objects",
        )


def _to(pacs: Peer) -> dict[str, object]:
    where = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}
    return {"destinations": [{**where, "commitment": False}]}
