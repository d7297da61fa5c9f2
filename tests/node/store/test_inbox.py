"""What reception keeps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.fakes import START, FakeClock, StoreHarness, instance, result

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.conflicts import Conflict, ConflictOutcome, PatientKey
from dicom_node.store.store import open_store

RECEIVED = AuditEvent(kind=AuditKind.INSTANCE_RECEIVED)


def test_an_instance_comes_back_as_it_was_kept(node: StoreHarness) -> None:
    """Path, size and time survive the database."""
    assert node.store.inbox.find("1.2.1") is None
    kept = node.receive()
    assert node.store.inbox.find(kept.sop_instance_uid) == kept == instance()


def test_a_uid_is_kept_once(node: StoreHarness) -> None:
    """The second of two equal UIDs changes nothing, not even the audit log."""
    node.receive()
    before = node.dump()
    node.clock.tick()
    assert not node.store.inbox.add(instance(at=node.clock.now), RECEIVED)
    assert node.dump() == before


def test_a_race_for_one_uid_has_one_winner(tmp_path: Path, database: str) -> None:
    """Receivers of two processes that get the same film keep one row and write one line."""
    stores = [open_store(tmp_path, FakeClock(), database) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        won = pool.map(lambda n: stores[n % 2].inbox.add(instance(), RECEIVED), range(8))
        assert sorted(won) == [False] * 7 + [True]
    assert len(stores[0].audit.tail(10)) == 1
    for store in stores:
        store.close()


def test_each_film_wakes_its_study(node: StoreHarness) -> None:
    """The study is as young as its last film."""
    node.receive(number=1)
    node.clock.tick(3)
    node.receive(number=2)
    detail = node.study_detail()
    assert (detail["first_received_at"], detail["last_received_at"]) == (START, node.clock.now)


def test_a_study_keeps_its_patient_as_digests(node: StoreHarness) -> None:
    """What the first object lacks is completed by a later one; no value can be read from it."""
    secret = bytes(32)
    first = PatientKey.of(secret, "P-1", "", "")
    later = PatientKey.of(secret, "P-1", "HERE", "19500101")
    assert node.store.inbox.add(instance(number=1), RECEIVED, patient=first)
    assert node.store.inbox.add(instance(number=2), RECEIVED, patient=later)
    assert node.store.inbox.patient_of(instance().study_instance_uid) == later
    assert node.store.inbox.patient_of("1.2.99") is None
    assert "P-1" not in repr(node.rows("studies"))
    assert PatientKey.of(b"\1" * 32, "P-1", "", "") != first


def test_a_conflict_is_in_the_detail_of_both_studies(node: StoreHarness) -> None:
    """Also of a study without a kept object."""
    conflict = Conflict(
        sop_instance_uid="1.2.3",
        study_instance_uid="1.2.98",
        kept_study_instance_uid="1.2.99",
        sha256="ab",
        calling_ae_title="CR1",
        received_at=START,
        outcome=ConflictOutcome.REFUSED,
        path=None,
    )
    node.store.inbox.add_conflict(conflict, RECEIVED)
    assert node.store.inbox.conflicts("1.2.3") == [conflict]
    for study in ("1.2.98", "1.2.99"):
        shown = node.store.queries.study_detail(study)
        assert shown is not None
        assert [each["outcome"] for each in shown["conflicts"]] == ["refused"]
    assert node.store.queries.study_detail("1.2.97") is None


def test_own_results_are_known_by_their_uid(node: StoreHarness) -> None:
    """What the node composed it knows again, whether or not it was delivered."""
    job = node.work()
    mine = result(job.instances[0].sop_instance_uid).sop_instance_uid
    assert not node.store.inbox.is_own_result(mine)
    node.finish(job)
    assert node.store.inbox.is_own_result(mine)
    assert not node.store.inbox.is_own_result("1.2.1")
