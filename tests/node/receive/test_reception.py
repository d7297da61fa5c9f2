"""Reception without the network: durable, once, and losing nothing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian
from support.receiving import SECRET, MemoryStore, encoded, now, small_film

import dicom_node
from dicom_node.config import PriorityConfig, QuotasConfig, ReceiveConfig, SpoolConfig
from dicom_node.dicom import uids
from dicom_node.dicom.blobs import Folder
from dicom_node.dicom.files import data_set_sha256
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.conflicts import ConflictOutcome
from dicom_node.domain.values import Instance
from dicom_node.receive.arrival import Arrival
from dicom_node.receive.associations import Link
from dicom_node.receive.disk_space import DiskGuard
from dicom_node.receive.priority import PriorityRule
from dicom_node.receive.quotas import PeerGuard, Quotas
from dicom_node.receive.reception import LOCKS, Reception, Rules, Spool, instance_path
from dicom_node.receive.store_status import STATUS, StoreFault, StoreRefused

CR = str(ComputedRadiographyImageStorage)


class ReceptionHarness:
    """A reception over a folder, and arrivals put before it by hand."""

    def __init__(self, data_dir: Path, **receive: object) -> None:
        self.data_dir = data_dir
        self.store = MemoryStore()
        rules = Rules(
            receive=ReceiveConfig.model_validate(receive),
            priority=PriorityRule(PriorityConfig()),
            secret=SECRET,
        )
        self.spool = Spool(data_dir=data_dir, blobs=Folder(data_dir))
        self.spool.prepare()
        self.reception = Reception(self.spool, self.store, self.store, now, rules)
        self.link = Link(address="10.0.0.1", calling="MODALITY", called="AINODE")
        self._count = 0

    def arrive(self, ds: Dataset) -> Arrival:
        self._count += 1
        path = self.spool.incoming / f"{self._count}.part"
        disk = DiskGuard(self.spool.data_dir, SpoolConfig(min_free_mb=0), self.store)
        guard = PeerGuard(disk, Quotas(QuotasConfig(), self.store.stored_bytes), self.link)
        arrival = Arrival(path, guard, sop_class_uid=CR, sop_instance_uid=str(ds.SOPInstanceUID))
        arrival.open(CR, ExplicitVRLittleEndian)
        arrival.write(memoryview(encoded(ds)))
        return arrival

    def keep(self, ds: Dataset) -> None:
        arrival = self.arrive(ds)
        try:
            self.reception.keep(arrival, self.link)
        finally:
            arrival.discard()

    def files(self) -> set[Path]:
        files = {p.relative_to(self.data_dir) for p in self.data_dir.rglob("*") if p.is_file()}
        return {file for file in files if file.parent != LOCKS}


@pytest.fixture
def harness(tmp_path: Path) -> ReceptionHarness:
    return ReceptionHarness(tmp_path)


def test_the_digest_in_the_row_is_that_of_the_kept_file(tmp_path: Path) -> None:
    """`backup` and `store copy` compare it with the file's data set."""
    node = ReceptionHarness(tmp_path)
    node.keep(small_film())
    [row] = node.store.rows.values()
    assert data_set_sha256(tmp_path / row.path) == row.sha256


def test_a_kept_instance_is_a_dicom_file_at_a_name_of_our_own(harness: ReceptionHarness) -> None:
    """The file can be read by anyone; its name is the UID's SHA-256, the row has its digest."""
    ds = small_film()
    harness.keep(ds)
    row = harness.store.rows[ds.SOPInstanceUID]
    assert harness.files() == {row.path} == {instance_path(ds.SOPInstanceUID)}
    read = dcmread(harness.data_dir / row.path)
    assert read == ds
    assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian == row.transfer_syntax_uid
    assert row.size == len(encoded(ds))
    assert row.received_at == now()


def test_the_file_is_in_place_and_synced_before_the_row(
    harness: ReceptionHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsync of the file, a folder if needed, rename, fsync of the folder, and only then the row."""
    steps: list[str] = []
    real_sync = os.fsync

    def sync(handle: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().suffix or 'folder'}")
        real_sync(handle)

    def look(instance: Instance) -> None:
        steps.append(f"row, file {(harness.data_dir / instance.path).exists()}")

    monkeypatch.setattr(os, "fsync", sync)
    harness.store.before_add = look
    harness.keep(small_film())
    assert steps == ["sync .part", "sync folder", "sync folder", "row, file True"]


def test_the_same_bytes_again_are_kept_once(harness: ReceptionHarness) -> None:
    """A resend is answered like the first time, audited, and leaves nothing on disk."""
    ds = small_film()
    harness.keep(ds)
    harness.keep(ds)
    assert harness.store.kinds() == [
        AuditKind.ASSOCIATION_ACCEPTED, AuditKind.INSTANCE_RECEIVED, AuditKind.INSTANCE_DUPLICATE,
    ]  # fmt: skip
    assert harness.files() == {instance_path(ds.SOPInstanceUID)}


def test_other_bytes_under_a_known_uid_are_kept_beside(harness: ReceptionHarness) -> None:
    """keep-first: the first object stays what the UID names; the second is kept and recorded."""
    first = small_film()
    second = small_film(SOPInstanceUID=first.SOPInstanceUID, PatientName="Corrected^Name")
    for ds in (first, second, second):
        harness.keep(ds)
    assert harness.store.kinds()[2:] == [AuditKind.INSTANCE_DIFFERS, AuditKind.INSTANCE_DUPLICATE]
    [conflict] = harness.store.found
    assert conflict.outcome is ConflictOutcome.KEPT
    assert conflict.path is not None
    assert harness.files() == {instance_path(first.SOPInstanceUID), conflict.path}
    assert dcmread(harness.data_dir / conflict.path).PatientName == "Corrected^Name"
    assert dcmread(harness.data_dir / instance_path(first.SOPInstanceUID)) == first


def test_other_bytes_under_a_known_uid_may_be_refused(tmp_path: Path) -> None:
    """refuse: 0x0111, and the conflict is recorded."""
    harness = ReceptionHarness(tmp_path, conflict="refuse")
    first = small_film()
    harness.keep(first)
    with pytest.raises(StoreRefused, match="duplicate-uid"):
        harness.keep(small_film(SOPInstanceUID=first.SOPInstanceUID, PatientName="Corrected^Name"))
    harness.keep(first)
    assert STATUS[StoreFault.DUPLICATE] == 0x0111
    assert [each.outcome for each in harness.store.found] == [ConflictOutcome.REFUSED]
    assert harness.files() == {instance_path(first.SOPInstanceUID)}


def test_other_bytes_under_a_known_uid_may_be_read_too(tmp_path: Path) -> None:
    """read-both: the second film has a row of its own study, under a key that retries keep."""
    harness = ReceptionHarness(tmp_path, conflict="read-both")
    first = small_film()
    second = small_film(
        SOPInstanceUID=first.SOPInstanceUID, StudyInstanceUID="1.2.3.4", PatientID="OTHER"
    )
    for ds in (first, second, second):
        harness.keep(ds)
    one, other = harness.store.rows.values()
    assert (one.study_instance_uid, other.study_instance_uid) == (first.StudyInstanceUID, "1.2.3.4")
    assert other.sop_instance_uid == uids.alias(first.SOPInstanceUID, other.sha256)
    assert dcmread(harness.data_dir / other.path) == second
    assert [each.outcome for each in harness.store.found] == [ConflictOutcome.READ]


@pytest.mark.parametrize("conflict", ["keep-first", "read-both"])
def test_the_versions_of_a_uid_are_limited(tmp_path: Path, conflict: str) -> None:
    """A peer cannot fill the disk under one UID."""
    harness = ReceptionHarness(tmp_path, conflict=conflict, max_versions=3)
    refused: list[StoreFault] = []
    for number in range(30):
        try:
            harness.keep(
                small_film(
                    SOPInstanceUID="1.2.3", StudyInstanceUID="1.2", PatientComments=str(number)
                )
            )
        except StoreRefused as error:
            refused.append(error.fault)
    assert refused == [StoreFault.DUPLICATE] * 27
    assert len(harness.files()) == 3
    assert len(harness.store.found) <= 20


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, True),
        ({"PatientName": "Other^Spelling"}, True),
        ({"PatientID": "OTHER"}, False),
        ({"PatientID": ""}, False),
        ({"IssuerOfPatientID": "ELSEWHERE"}, False),
        ({"IssuerOfPatientID": ""}, True),
        ({"PatientBirthDate": "19700101"}, False),
        ({"PatientBirthDate": ""}, True),
    ],
    ids=str,
)
def test_a_study_has_one_patient(
    harness: ReceptionHarness, changes: dict[str, str], taken: bool
) -> None:
    """Patient ID, issuer and birth date must agree; a name may be spelled in another way."""
    known = {
        "StudyInstanceUID": "1.2.3",
        "IssuerOfPatientID": "HERE",
        "PatientBirthDate": "19500101",
    }
    harness.keep(small_film(seed=1, **known))
    second = small_film(seed=2, **{**known, **changes})
    if taken:
        harness.keep(second)
    else:
        with pytest.raises(StoreRefused, match="patient-mismatch") as caught:
            harness.keep(second)
        assert caught.value.study_instance_uid == "1.2.3"
    assert (second.SOPInstanceUID in harness.store.rows) is taken


def test_the_check_of_the_patient_can_be_switched_off(tmp_path: Path) -> None:
    """`receive.check_patient: false`, for a site that merges patients in its archive."""
    harness = ReceptionHarness(tmp_path, check_patient=False)
    harness.keep(small_film(seed=1, StudyInstanceUID="1.2.3", PatientID="A"))
    harness.keep(small_film(seed=2, StudyInstanceUID="1.2.3", PatientID="B"))
    assert len(harness.store.rows) == 2


def test_one_of_many_at_once_is_kept(harness: ReceptionHarness) -> None:
    """Eight senders of one object at the same moment: one row, seven duplicates."""
    ds = small_film()
    threads = [threading.Thread(target=harness.keep, args=(ds,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert harness.store.kinds().count(AuditKind.INSTANCE_RECEIVED) == 1
    assert harness.store.kinds().count(AuditKind.INSTANCE_DUPLICATE) == 7
    assert harness.files() == {instance_path(ds.SOPInstanceUID)}


def test_a_race_lost_in_the_database_is_a_duplicate(harness: ReceptionHarness) -> None:
    """If another process wrote the row first, the bytes are compared with that row."""
    ds = small_film()
    other = ReceptionHarness(harness.data_dir)
    other.keep(ds)
    harness.store.before_add = lambda row: harness.store.rows.update(other.store.rows)
    harness.keep(ds)
    assert harness.store.kinds() == [AuditKind.ASSOCIATION_ACCEPTED, AuditKind.INSTANCE_DUPLICATE]


class Erasing(MemoryStore):
    """Another association stores each film first, and a person erases it at once."""

    def add(self, *_args: object, **_options: object) -> bool:
        return False


def test_a_film_that_is_erased_while_it_arrives_is_sent_again(harness: ReceptionHarness) -> None:
    """Success would say that it is kept."""
    rules = Rules(receive=ReceiveConfig(), priority=PriorityRule(PriorityConfig()), secret=SECRET)
    harness.reception = Reception(harness.spool, Erasing(), harness.store, now, rules)
    with pytest.raises(StoreRefused) as refused:
        harness.keep(small_film())
    assert STATUS[refused.value.fault] == 0xA700


def test_a_resend_repairs_a_crash_before_the_row(harness: ReceptionHarness) -> None:
    """A file without a row is overwritten when the peer sends again."""

    def crash(_: Instance) -> None:
        raise OSError("gone")

    ds = small_film()
    harness.store.before_add = crash
    with pytest.raises(OSError, match="gone"):
        harness.keep(ds)
    assert harness.store.events == []
    harness.store.before_add = lambda _: None
    harness.keep(ds)
    assert harness.store.kinds() == [AuditKind.ASSOCIATION_ACCEPTED, AuditKind.INSTANCE_RECEIVED]


@pytest.mark.parametrize("by", ["database", "derivation"])
def test_our_own_results_go_nowhere(harness: ReceptionHarness, by: str) -> None:
    """A result that comes back is recognised by its UID, after its row was removed too."""
    root = uids.Root(
        source_sop_instance_uid="1.2",
        model_digest="a",
        config_digest="b",
        software_version="1",
        secret=SECRET,
    )
    uid = "1.2.3" if by == "database" else root.uid("overview")
    if by == "database":
        harness.store.own.add(uid)
    ds = small_film(SOPInstanceUID=uid)
    harness.keep(ds)
    assert harness.store.kinds()[1:] == [AuditKind.OWN_RESULT_RECEIVED]
    assert harness.store.rows == {}
    assert harness.files() == set()


def test_a_film_that_claims_to_be_of_this_node_is_kept(harness: ReceptionHarness) -> None:
    """Success means kept: the equipment that an object names proves nothing."""
    ds = small_film(DeviceSerialNumber="0")
    ds.Manufacturer, ds.ManufacturerModelName = "dicom-node project", dicom_node.MODEL_NAME
    harness.keep(ds)
    assert list(harness.store.rows) == [ds.SOPInstanceUID]


def test_a_refused_object_leaves_nothing(harness: ReceptionHarness) -> None:
    """Neither file nor row nor event of what was not taken (the refusal's event is the SCP's)."""
    with pytest.raises(StoreRefused, match="missing-uid"):
        harness.keep(small_film(without=["StudyInstanceUID"]))
    assert harness.files() == set()
    assert harness.store.events == []


def test_half_received_files_are_cleared_at_the_start(harness: ReceptionHarness) -> None:
    """What a crash left in the incoming folder is gone after the next start; films are not."""
    ds = small_film()
    harness.keep(ds)
    (harness.spool.incoming / "left.part").write_bytes(b"half")
    harness.spool.prepare()
    assert harness.files() == {instance_path(ds.SOPInstanceUID)}


def test_no_event_names_the_patient(harness: ReceptionHarness) -> None:
    """Audit lines carry UIDs, titles and addresses, never who the film is of."""
    harness.keep(small_film(PatientName="Secret^Name", PatientID="SECRET-ID"))
    assert "secret" not in repr(harness.store.events).lower()
