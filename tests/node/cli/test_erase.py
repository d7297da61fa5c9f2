"""`erase`: a study, or all studies of a patient, leaves the node; its audit lines stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.commands import Commands
from support.fakes import full, instance, read
from support.film import film, write

from dicom_node.domain.audit import AuditKind
from dicom_node.domain.values import Job
from dicom_node.errors import LeaseLost, NodeError
from dicom_node.store.folders import results_folder
from dicom_node.store.store import Store, open_store


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Site(Commands):
    store: Store

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def files(self) -> list[Path]:
        return [
            path
            for part in ("spool", "results")
            for path in (self.data / part).rglob("*")
            if path.is_file()
        ]

    def work(self, study: str, patient: str) -> Job:
        """Receive a film of a patient, with a version beside it, and claim its job."""
        came = instance(study, at=_now())
        write(film(study_uid=study, PatientID=patient), self.data / came.path)
        (self.data / came.path.with_suffix(".0123.dcm")).write_bytes(b"other bytes")
        self.store.inbox.add(came)
        self.store.jobs.open_ready(_now())
        job = self.store.jobs.claim("worker-1", _now() + timedelta(minutes=1))
        assert job is not None
        folder = self.data / results_folder(study) / "1-abc"
        folder.mkdir(parents=True)
        (folder / "report.dcm").write_bytes(b"of an attempt that no row knows")
        return job

    def finish(self, job: Job) -> None:
        self.store.jobs.finish(job, [read(f"{job.study_instance_uid}.1")], full("pacs"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "config.yaml").write_text(f"node: {{data_dir: {tmp_path / 'data'}}}\n")
    store = open_store(tmp_path / "data", _now)
    yield Site(tmp_path, store)
    store.close()


def test_a_study_is_erased_with_everything_but_its_audit_lines(site: Site) -> None:
    """Films, versions, results, what attempts left, and rows; pending deliveries do not hinder."""
    site.finish(site.work("1.2", "ID-1"))
    site.finish(site.work("1.3", "ID-2"))
    before = len(site.files())
    assert site.json("erase", "1.2", "--yes") == {"1.2": {"films": 1, "results": 2}}
    assert [row["study_instance_uid"] for row in site.json("studies")] == ["1.3"]
    assert len(site.files()) == before // 2
    (erased,) = [
        record
        for record in site.store.audit.of_study("1.2")
        if record.event.kind is AuditKind.STUDY_ERASED
    ]
    assert set(erased.event.detail) == {"films", "results", "user"}
    assert site.store.audit.verify() == []
    assert not any("ID-1" in str(record.event) for record in site.store.audit.all())


def test_every_study_of_a_patient_is_erased(site: Site) -> None:
    """Found by the Patient ID of its films; other patients' studies stay."""
    for study, patient in (("1.2", "ID-1"), ("1.3", "ID-2"), ("1.4", "ID-1")):
        site.finish(site.work(study, patient))
    assert set(site.json("erase", "--patient", "ID-1", "--yes")) == {"1.2", "1.4"}
    assert [row["study_instance_uid"] for row in site.json("studies")] == ["1.3"]
    assert isinstance(site.run("erase", "--patient", "ID-1", "--yes").exception, NodeError)


def test_a_worker_that_reads_an_erased_study_records_nothing(site: Site) -> None:
    """Its lease is gone."""
    job = site.work("1.2", "ID-1")
    site.json("erase", "1.2", "--yes")
    with pytest.raises(LeaseLost):
        site.finish(job)
    assert site.files() == []


def test_nothing_is_erased_without_a_yes(site: Site) -> None:
    """The command asks; no is the answer to anything but yes, and a mistyped UID is an error."""
    site.finish(site.work("1.2", "ID-1"))
    before = site.files()
    assert isinstance(site.run("erase", "1.2", answer="n\n").exception, NodeError)
    assert isinstance(site.run("erase", "1.9", "--yes").exception, NodeError)
    assert isinstance(site.run("erase", "--yes").exception, NodeError)
    assert isinstance(site.run("erase", "1.2", "--patient", "ID-1", "--yes").exception, NodeError)
    assert site.files() == before
    assert site.run("erase", "1.2", answer="y\n").exit_code == 0
    assert site.files() == []
