"""From a late film, or a person's wish, to reports that name the ones before them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.fakes import StoreHarness, instance, store_harness
from support.film import film, write
from support.readings import MODEL, frame, look, negative

from dicom_node.config import Config
from dicom_node.domain.conflicts import Conflict, ConflictOutcome
from dicom_node.domain.values import Image
from dicom_node.pipeline import Pipeline
from dicom_node.service.worker import Worker
from models.reading import Look, ModelIdentity, Reading

STUDY = "1.2"


class Reader:
    """Finds nothing, in whatever it is shown."""

    identity: ModelIdentity = MODEL

    def look(self, image: Image) -> Look:
        return look()

    def read(self, image: Image, *, force_stage3: bool = False, **_: object) -> Reading:
        return negative(frame(*image.pixels.shape))


@dataclass
class Node:
    """A store with a worker over it."""

    harness: StoreHarness
    folder: Path

    def receive(self, number: int) -> None:
        """A film of the study, as the receiver leaves it."""
        row = instance(STUDY, number, self.harness.clock.tick())
        source = film(
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=f"{STUDY}.0",
            SOPInstanceUID=row.sop_instance_uid,
        )
        write(source, self.folder / row.path)
        assert self.harness.store.inbox.add(replace(row, size=1))

    def work(self) -> None:
        """Read what waits, all of it."""
        self.harness.clock.tick()
        self.harness.open_ready()
        config = Config.model_validate({"node": {"data_dir": self.folder}})
        clock, jobs = self.harness.clock, self.harness.store.jobs
        pipeline = Pipeline(config=config, reader=Reader(), clock=clock)
        worker = Worker(owner="w", config=config, jobs=jobs, pipeline=pipeline, clock=clock)
        assert worker.step()
        assert not worker.step()

    def reports(self) -> list[Dataset]:
        """All so far, in the order they were composed."""
        rows = [
            row for row in self.harness.study_detail(STUDY)["results"] if row["modality"] == "SR"
        ]
        rows.sort(key=lambda row: row["composed_at"])
        return [dcmread(self.folder / row["path"]) for row in rows]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with store_harness(tmp_path) as made:
        yield Node(made, tmp_path)


def _predecessors(report: Dataset) -> list[str]:
    return [
        item.ReferencedSOPInstanceUID
        for study in report.get("PredecessorDocumentsSequence", ())
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]


def test_the_report_of_a_late_film_does_not_supersede_another_film_s(node: Node) -> None:
    """A film that joins a study replaces nothing that was said of the others."""
    node.receive(1)
    node.work()
    node.receive(2)
    node.work()
    first, late = node.reports()
    assert _predecessors(first) == []
    assert _predecessors(late) == []


def test_a_film_read_after_another_one_came_under_its_uid_warns_of_it(node: Node) -> None:
    """A reader of the report cannot know otherwise that there are two."""
    node.receive(1)
    node.receive(2)
    node.harness.store.inbox.add_conflict(
        Conflict(
            sop_instance_uid=f"{STUDY}.1", study_instance_uid=STUDY, kept_study_instance_uid=STUDY,
            sha256="0" * 64, calling_ae_title="CR1", received_at=node.harness.clock(),
            outcome=ConflictOutcome.KEPT, path=Path("conflicts/x.dcm"),
        )
    )  # fmt: skip
    node.work()
    warned = {
        each.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
        .ReferencedSOPSequence[0].ReferencedSOPInstanceUID: "same UID" in each.to_json()
        for each in node.reports()
    }  # fmt: skip
    assert warned == {f"{STUDY}.1": True, f"{STUDY}.2": False}


def test_a_film_read_again_has_a_new_report_that_names_the_old(node: Node) -> None:
    """New objects beside the old ones, never the same UID with another content."""
    node.receive(1)
    node.work()
    assert node.harness.store.jobs.reread(STUDY) == 1
    node.work()
    old, new = node.reports()
    assert new.SOPInstanceUID != old.SOPInstanceUID
    assert _predecessors(new) == [old.SOPInstanceUID]
    assert len(node.harness.study_detail(STUDY)["results"]) % 2 == 0
