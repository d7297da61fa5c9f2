"""Signed reports and key objects about our results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from support.fakes import StoreHarness, instance, result, store_harness

from dicom_node.dicom.blobs import Folder
from dicom_node.domain.verdicts import Finding
from dicom_node.service.reviews import Reviews
from dicom_node.verdicts.report import ReportReader
from dicom_node.verdicts.rules import shipped_rules

SR, KOS = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.88.59"
FILM = instance("1.2").sop_instance_uid
READER = ReportReader(shipped_rules())


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StoreHarness]:
    """A node that read study 1.2: no pneumonia."""
    with store_harness(tmp_path) as made:
        made.finish(made.work())
        yield made


def _code(value: str, system: str = "DCM") -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, system, "x"
    return code


def _review(
    node: StoreHarness, folder: Path, sop_class: str, text: str = "", *, title: str = "113008",
    flag: str = "VERIFIED", about: str = "", code: str = "",
) -> list[Finding]:  # fmt: skip
    """What the node makes of a document that a peer sent."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID = sop_class, "1.9", "1.2"
    ds.PatientName, ds.PatientBirthDate = "MUSTERMANN^ERIKA", "19510203"
    ds.ContentDate, ds.ContentTime = "20260102", "101112"
    ds.ConceptNameCodeSequence = [_code(title)]
    if sop_class == SR:
        ds.VerificationFlag = flag
        observer = Dataset()
        observer.VerifyingObserverName = "BEISPIEL^HANS"
        observer.VerificationDateTime = "20260102101112"
        ds.VerifyingObserverSequence = [observer]
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = about or result(FILM).sop_instance_uid
    item, said = Dataset(), Dataset()
    item.ValueType, item.ReferencedSOPSequence = "COMPOSITE", [reference]
    said.ValueType, said.TextValue = "TEXT", text
    if code:
        said.ConceptCodeSequence = [_code(code, "SCT")]
    ds.ContentSequence = [item, said]
    came = replace(instance("1.2", 9), sop_class_uid=sop_class, path=Path("review.dcm"))
    ds.save_as(folder / came.path, enforce_file_format=True)
    node.store.inbox.add(came)
    assert node.open_ready() == 1
    reviews = Reviews(
        verdicts=node.store.verdicts,
        reader=READER,
        blobs=Folder(folder),
        secret=b"s",
        clock=node.clock,
    )
    reviews.read(node.claim())
    return list(node.store.verdicts.current().values())


@pytest.mark.parametrize(
    ("sop_class", "keys", "findings"),
    [
        (SR, {"text": "Right basal pneumonia."}, [Finding.PNEUMONIA]),
        (SR, {"code": "840539006"}, [Finding.COVID19]),
        (SR, {"text": "I disagree."}, [Finding.PNEUMONIA]),
        (SR, {"text": "Agreed."}, [Finding.OTHER]),
        (SR, {"text": "Pneumonia.", "flag": "UNVERIFIED"}, []),
        (SR, {"text": "Pneumonia.", "about": "1.2.3.4"}, []),
        (SR, {"text": "See above."}, []),
        (KOS, {"title": "113001"}, [Finding.PNEUMONIA]),
        (KOS, {"title": "113008"}, []),
        (KOS, {"title": "113008", "text": "Pneumonia cannot be excluded."}, [Finding.UNKNOWN]),
    ],
)
def test_a_review_of_our_results_is_a_verdict(
    node: StoreHarness, tmp_path: Path, sop_class: str, keys: dict[str, str],
    findings: list[Finding],
) -> None:  # fmt: skip
    """If it is signed, is about a result of this node, and says something."""
    assert _review(node, tmp_path, sop_class, **keys) == findings


def test_a_review_s_names_are_not_kept(node: StoreHarness, tmp_path: Path) -> None:
    """Who signed becomes a digest; a rejection names its reason as the rule."""
    _review(node, tmp_path, SR, "Right basal pneumonia in MUSTERMANN.")
    [row] = node.store.verdicts.listed(9)
    assert (row["source"], row["rule"]) == ("dicom", "pneumonia")
    kept = b"".join(each.read_bytes() for each in tmp_path.glob("node.db*"))
    for name in (b"MUSTERMANN", b"BEISPIEL", b"19510203", b"Right basal"):
        assert name not in kept


def test_a_review_that_cannot_be_read_stops_nothing(node: StoreHarness, tmp_path: Path) -> None:
    """The study was read all the same."""
    came = replace(instance("1.2", 9), sop_class_uid=SR, path=Path("broken.dcm"))
    (tmp_path / came.path).write_bytes(b"no DICOM")
    node.store.inbox.add(came)
    node.open_ready()
    job = node.claim()
    Reviews(
        verdicts=node.store.verdicts, reader=READER, blobs=Folder(tmp_path), secret=b"s",
        clock=node.clock,
    ).read(job)  # fmt: skip
    assert node.store.verdicts.current() == {}
