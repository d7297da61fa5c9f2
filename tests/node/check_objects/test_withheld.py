"""A set with a fault never leaves: outbox, audit, alarm, and what a person sees of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from support.fakes import FakeClock, StoreHarness, full, read, result
from support.film import film, write
from support.readings import MODEL, frame, look, negative
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.config import Config
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.values import CheckFailure, FilmOutcome, Image
from dicom_node.pipeline import Pipeline, entry
from dicom_node.service.worker import Worker
from models.reading import Look, ModelIdentity, Reading

FILM = "1.2.1"
FAULT = CheckFailure(
    sop_instance_uid=result(FILM, 1).sop_instance_uid,
    rule="attribute",
    message="ConversionType is missing",
)


@pytest.fixture
def withheld(node: StoreHarness) -> StoreHarness:
    """A node that composed two objects for a film, one of them bad."""
    job = node.work()
    node.store.jobs.finish(job, [replace(read(FILM), faults=(FAULT,))], full("pacs", "research"))
    return node


def test_one_bad_object_withholds_the_film_s_whole_set(withheld: StoreHarness) -> None:
    """Every object, for every destination, with its own fault or the other's."""
    rows = withheld.rows("deliveries")
    assert {row["status"] for row in rows} == {"withheld"}
    assert len(rows) == 4
    reasons = {row["sop_instance_uid"]: row["last_reason"] for row in rows}
    assert reasons[FAULT.sop_instance_uid] == FAULT.message
    assert "another object" in reasons[result(FILM, 2).sop_instance_uid]


def test_what_is_withheld_is_never_claimed(withheld: StoreHarness) -> None:
    """Neither now nor later, nor after `retry`, nor after a release."""
    outbox = withheld.store.outbox
    assert outbox.claim("deliverer-1", withheld.clock.after(60)) is None
    withheld.clock.tick(10**6)
    assert outbox.retry(None) == outbox.retry("1.2") == 0
    assert outbox.release() == outbox.release("deliverer-1") == 0
    assert outbox.claim("deliverer-1", withheld.clock.after(60)) is None
    assert {row["status"] for row in withheld.rows("deliveries")} == {"withheld"}


def test_another_film_s_good_set_leaves(withheld: StoreHarness) -> None:
    """Only the film whose object is bad waits."""
    withheld.finish(withheld.work("1.2", 2), "pacs")
    shipment = withheld.store.outbox.claim("deliverer-1", withheld.clock.after(60))
    assert shipment is not None
    assert {d.result.sop_instance_uid for d in shipment.deliveries} == {
        result("1.2.2", number).sop_instance_uid for number in (1, 2)
    }


def test_the_audit_log_says_which_rule_was_broken(withheld: StoreHarness) -> None:
    """After the line that says what was composed."""
    records = [record.event for record in withheld.store.audit.all()]
    assert [event.kind for event in records][-2:] == [
        AuditKind.OBJECTS_COMPOSED,
        AuditKind.OBJECTS_WITHHELD,
    ]
    assert records[-1].sop_instance_uid == FILM
    assert records[-1].detail["faults"] == [
        {"sop_instance_uid": FAULT.sop_instance_uid, "rule": FAULT.rule, "message": FAULT.message}
    ]
    assert withheld.store.audit.verify() == []


def test_status_alarms_and_show_says_why(withheld: StoreHarness, tmp_path: Path) -> None:
    """A person does not have to look for it."""
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"node": {"data_dir": str(tmp_path)}}))
    status = CliRunner().invoke(app, ["status", "--config", str(config)]).output
    assert "ALARM" in status
    assert "2 withheld" in status
    shown = CliRunner().invoke(app, ["show", "1.2", "--config", str(config), "--json"]).output
    assert FAULT.message in shown


@dataclass(frozen=True)
class Reader:
    """A reader with a fixed answer."""

    probability: float
    identity: ModelIdentity = MODEL

    def look(self, image: Image) -> Look:
        return look()

    def read(self, image: Image, *, force_stage3: bool = False, **_: object) -> Reading:
        reading = negative(frame(*image.pixels.shape))
        return replace(reading, pneumonia=replace(reading.pneumonia, probability=self.probability))


@pytest.mark.parametrize(("probability", "rules"), [(0.25, set()), (1.5, {"content"})])
def test_the_pipeline_checks_what_it_wrote(
    tmp_path: Path, probability: float, rules: set[str]
) -> None:
    """A network that says 150 per cent would be reported so; the report does not leave."""
    clock = FakeClock()
    pipeline = Pipeline(config=Config(), reader=Reader(probability), clock=clock)
    path = write(film(), tmp_path / "a.dcm")
    outcome = pipeline.read(path, tmp_path / "out")
    assert {fault.rule for fault in outcome.faults} == rules
    assert bool(entry(path, outcome)["faults"]) == bool(rules)


def test_the_worker_raises_the_alarm(node: StoreHarness, capfd: pytest.CaptureFixture[str]) -> None:
    """An error in the log for each fault, and the set goes to the outbox as withheld."""

    class Faulty:
        def read(self, path: Path, out: Path, **settings: object) -> FilmOutcome:
            return replace(read(FILM), faults=(FAULT,))

    node.receive()
    node.open_ready()
    config = {"destinations": [{"name": "pacs", "ae_title": "P", "host": "h", "port": 1}]}
    Worker(
        owner="worker-1",
        config=Config.model_validate(config),
        jobs=node.store.jobs,
        pipeline=Faulty(),  # type: ignore[arg-type]
        clock=node.clock,
    ).step()
    printed = "".join(capfd.readouterr())
    assert "objects withheld" in printed
    assert FAULT.message in printed
    assert {row["status"] for row in node.rows("deliveries")} == {"withheld"}
