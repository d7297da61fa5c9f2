"""Objects that contradict earlier ones, from the wire to `show` and `status`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from support.receiving import send, small_film
from typer.testing import CliRunner

import dicom_node
from dicom_node.cli.app import app
from dicom_node.config import load
from dicom_node.domain.clock import utc_now
from dicom_node.receive.scp import Receiver
from dicom_node.store.secret import node_secret
from dicom_node.store.store import open_store


@contextmanager
def node(folder: Path, **receive: object) -> Iterator[int]:
    """A receiver over a real database; its port."""
    path = folder / "config.yaml"
    settings = {"data_dir": str(folder / "data"), "host": "127.0.0.1", "ae_title": "AINODE"}
    spool = {"min_free_mb": 0}
    path.write_text(yaml.safe_dump({"node": settings, "receive": receive, "spool": spool}))
    config = load(path, {})
    store = open_store(config.node.data_dir, utc_now)
    config = config.model_copy(update={"node": config.node.model_copy(update={"port": 0})})
    secret = node_secret(config.node.data_dir)
    receiver = Receiver(config, store.inbox, store.audit, utc_now, secret=secret)
    receiver.start()
    try:
        yield receiver.ports[0]
    finally:
        receiver.stop(drain_seconds=0.5)
        store.close()


def command(folder: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--config", str(folder / "config.yaml")])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("conflict", "status", "outcome"),
    [("keep-first", 0x0000, "kept-beside"), ("refuse", 0x0111, "refused"),
     ("read-both", 0x0000, "read")],
)  # fmt: skip
def test_a_uid_that_was_sent_first_by_a_stranger_hides_no_film(
    tmp_path: Path, conflict: str, status: int, outcome: str
) -> None:
    """The true film is not lost in silence: an alarm, and a row in `show` of both studies."""
    forged = small_film(SOPInstanceUID="1.2.3", StudyInstanceUID="1.2.4", PatientID="X")
    true = small_film(SOPInstanceUID="1.2.3", StudyInstanceUID="1.2.5", PatientID="R-1", seed=1)
    with node(tmp_path, conflict=conflict) as port:
        assert send(port, forged, calling="STRANGER") == 0x0000
        assert send(port, true, calling="CR1") == status
    for study in ("1.2.4", "1.2.5"):
        shown = command(tmp_path, "show", study)
        assert "CONFLICT" in shown
        assert outcome in shown
    assert "ALARM      1 objects came under a SOP Instance UID" in command(tmp_path, "status")
    assert ("undecided" in command(tmp_path, "show", "1.2.5")) is (conflict == "read-both")


def test_refused_versions_of_a_uid_are_one_line_a_minute(tmp_path: Path) -> None:
    """Their number is in it; the first few have a row in `show`, too; another UID has its line."""
    with node(tmp_path, conflict="refuse") as port:
        for uid in ("1.2.3", "1.2.6"):
            assert send(port, small_film(SOPInstanceUID=uid, StudyInstanceUID="1.2.4")) == 0x0000
        for seed in range(1, 11):
            again = small_film(SOPInstanceUID="1.2.3", StudyInstanceUID="1.2.4", seed=seed)
            assert send(port, again) == 0x0111
        other = small_film(SOPInstanceUID="1.2.6", StudyInstanceUID="1.2.4", seed=1)
        assert send(port, other) == 0x0111
    lines = json.loads(command(tmp_path, "audit", "tail", "-n", "100", "--json"))
    refused = [each for each in lines if each["kind"] == "instance-refused"]
    counts = [(each["sop_instance_uid"], each["detail"].get("count", 1)) for each in refused]
    assert sorted(counts) == [("1.2.3", 1), ("1.2.3", 9), ("1.2.6", 1)]
    assert {each["study_instance_uid"] for each in refused} == {"1.2.4"}
    assert sum(each["kind"] == "instance-differs" for each in lines) < 10


def test_a_film_of_another_patient_joins_no_study(tmp_path: Path) -> None:
    """It is refused with a code, an alarm and a line in `show`; the node says no identity."""
    with node(tmp_path) as port:
        assert send(port, small_film(StudyInstanceUID="1.2.4", PatientID="SECRET-1")) == 0x0000
        foreign = small_film(StudyInstanceUID="1.2.4", PatientID="SECRET-2", seed=1)
        assert send(port, foreign, calling="STRANGER") == 0xC001
    shown = command(tmp_path, "show", "1.2.4", "--json")
    assert "patient-mismatch" in shown
    assert "patient_key" not in shown
    status = command(tmp_path, "status")
    assert "ALARM      1 objects were refused: their study belongs to another patient" in status
    assert "SECRET" not in shown + status + command(tmp_path, "audit", "tail")


def test_a_film_that_names_our_equipment_is_kept(tmp_path: Path) -> None:
    """A forged manufacturer does not make a film one of our results."""
    ds = small_film(DeviceSerialNumber="0", StudyInstanceUID="1.2.4")
    ds.Manufacturer, ds.ManufacturerModelName = "dicom-node project", dicom_node.MODEL_NAME
    with node(tmp_path) as port:
        assert send(port, ds) == 0x0000
    assert ds.SOPInstanceUID in command(tmp_path, "show", "1.2.4", "--json")


def test_the_secret_is_made_once_and_for_the_node_alone(tmp_path: Path) -> None:
    """Mode 0600; another folder has another one."""
    secret = node_secret(tmp_path)
    assert node_secret(tmp_path) == secret
    assert len(secret) == 32
    assert (tmp_path / "node.secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["node.secret"]
    assert node_secret(tmp_path / "other") != secret
