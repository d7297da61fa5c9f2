"""A backup made while the node works is whole, verified, and can be put in the folder's place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from support.fakes import FakeClock, StoreHarness, store_harness
from support.receiving import received
from typer.testing import CliRunner, Result

from dicom_node.cli.app import app
from dicom_node.errors import NodeError
from dicom_node.store.store import open_store


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StoreHarness]:
    """A node with one film that was read; its files hold what the rows say."""
    (tmp_path / "data").mkdir()
    with store_harness(tmp_path / "data") as made:
        made.finish(made.work("1.2"), "pacs")
        made.sql("UPDATE instances SET path = 'spool/instances/film'")
        for row in (*made.rows("instances"), *made.rows("results")):
            path = tmp_path / "data" / row["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(received(b"film"))
        made.sql("UPDATE instances SET sha256 = :digest", digest=sha256(b"film").hexdigest())
        (tmp_path / "data" / "node.secret").write_bytes(b"secret")
        yield made


def _back_up(folder: Path) -> Result:
    config = folder / "config.yaml"
    config.write_text(f"node: {{data_dir: {folder / 'data'}}}")
    words = ["backup", str(folder / "backup"), "--json", "--config", str(config)]
    return CliRunner().invoke(app, words)


def test_a_backup_has_everything_that_was_committed(node: StoreHarness, tmp_path: Path) -> None:
    """While another process is in the middle of a transaction; the copy is a node's folder."""
    with node.store._engine.connect() as writer, writer.begin():
        writer.exec_driver_sql("UPDATE instances SET size = 0")
        done = _back_up(tmp_path)
        writer.rollback()
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["files"] == 3
    assert (tmp_path / "backup" / "node.secret").read_bytes() == b"secret"
    with closing(open_store(tmp_path / "backup", FakeClock())) as restored:
        [study] = restored.queries.studies(10)
        assert (study["study_instance_uid"], study["read"]) == ("1.2", 1)
        assert restored.audit.verify() == []


def test_a_film_that_changed_is_a_fault(node: StoreHarness, tmp_path: Path) -> None:
    """Its bytes are compared with the digest of what was received."""
    [film] = node.rows("instances")
    (tmp_path / "data" / film["path"]).write_bytes(b"other")
    done = _back_up(tmp_path)
    assert done.exit_code == 1
    assert json.loads(done.stdout)["faults"] == [f"{film['path']} differs from what was received"]


def test_a_film_that_was_removed_meanwhile_is_no_fault(node: StoreHarness, tmp_path: Path) -> None:
    """Retention goes on while the copy is made."""
    [film] = node.rows("instances")
    (tmp_path / "data" / film["path"]).unlink()
    made = json.loads(_back_up(tmp_path).stdout)
    assert (made["removed"], made["faults"]) == (1, [])


def test_a_backup_does_not_mix_with_an_earlier_one(node: StoreHarness, tmp_path: Path) -> None:
    """The second into the same folder is an error, and the first is left as it was."""
    assert _back_up(tmp_path).exit_code == 0
    assert isinstance(_back_up(tmp_path).exception, NodeError)
