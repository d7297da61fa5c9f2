"""`store copy`: every row arrives, the audit log stays one chain, and what was cut off goes on."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.commands import Commands
from support.fakes import FakeClock, store_harness
from support.postgres import Postgres
from support.receiving import received

from dicom_node.config import Config
from dicom_node.errors import NodeError
from dicom_node.service.folder_lock import only_node
from dicom_node.service.moving import Moved, Progress, move
from dicom_node.store.plain import SQLITE
from dicom_node.store.store import open_store


class CutOff(Exception):
    """The command is ended in the middle."""


@dataclass
class Hospital:
    """A stopped node with two studies, and an empty database."""

    folder: Path
    url: str

    def move(self, films: Path | None = None, rows: int | None = None) -> Moved:
        """Move it; with ``rows``, the command is ended after so many."""
        left = rows

        def advance(count: int) -> None:
            nonlocal left
            if left is not None and (left := left - count) < 0:
                raise CutOff

        progress = Progress(advance=advance)
        return move(self.config, self.url, films, FakeClock(), progress)

    @property
    def config(self) -> Config:
        return Config.model_validate({"node": {"data_dir": self.folder}})


@pytest.fixture
def hospital(server: Postgres, tmp_path: Path) -> Iterator[Hospital]:
    name = server.create()
    folder = tmp_path / "data"
    folder.mkdir()
    with store_harness(folder) as node:
        for study in ("1.2", "1.3"):
            node.finish(node.work(study), "pacs")
        for row in (*node.rows("instances"), *node.rows("results")):
            path = folder / row["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(received(b"film"))
        node.sql("UPDATE instances SET sha256 = :digest", digest=_SHA256)
    (folder / "node.secret").write_bytes(b"secret")
    yield Hospital(folder, server.url(name))
    server.drop(name)


_SHA256 = hashlib.sha256(b"film").hexdigest()


def _dump(folder: Path, url: str = SQLITE) -> dict[str, list[dict[str, object]]]:
    """Every row; SQLite returns JSON as text, PostgreSQL does not."""
    with store_harness(folder, url) as node:
        return {
            table: [{name: _plain(value) for name, value in row.items()} for row in rows]
            for table, rows in node.dump().items()
        }


def _plain(value: object) -> object:
    return json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[") else value


def test_everything_arrives_and_work_goes_on(hospital: Hospital, tmp_path: Path) -> None:
    """New rows are numbered after the copied ones, and follow them in the audit log."""
    before = _dump(hospital.folder)
    moved = hospital.move()
    after = _dump(tmp_path, hospital.url)
    copied = after["audit"].pop()
    assert copied["kind"] == "store-copied"
    assert after == before
    assert moved.audit_lines == len(before["audit"])
    with store_harness(tmp_path, hospital.url) as node:
        node.finish(node.work("1.4"), "pacs")
        assert node.store.audit.verify() == []


def test_a_copy_that_was_cut_off_goes_on(hospital: Hospital, tmp_path: Path) -> None:
    """No node starts over half of the rows; the next run copies the missing ones only."""
    with pytest.raises(CutOff):
        hospital.move(rows=6)
    with pytest.raises(NodeError, match="cut off: run it again"):
        open_store(tmp_path, FakeClock(), hospital.url)
    moved = hospital.move()
    assert sum(each.earlier for each in moved.tables) > 0
    with closing(open_store(tmp_path, FakeClock(), hospital.url)) as store:
        assert len(store.queries.studies(10)) == 2
        assert store.audit.verify() == []


def test_a_copy_begins_again_if_the_node_ran_between(hospital: Hospital, tmp_path: Path) -> None:
    """Rows that were copied before may have changed."""
    with pytest.raises(CutOff):
        hospital.move(rows=6)
    with store_harness(hospital.folder) as node:
        node.finish(node.work("1.4"), "pacs")
    assert sum(each.earlier for each in hospital.move().tables) == 0
    with closing(open_store(tmp_path, FakeClock(), hospital.url)) as store:
        assert len(store.queries.studies(10)) == 3


def test_a_database_that_is_not_empty_is_refused(hospital: Hospital, tmp_path: Path) -> None:
    """Neither another node's nor another program's is touched."""
    hospital.move()
    with pytest.raises(NodeError, match="is not empty: a node has run over it"):
        hospital.move()
    with store_harness(tmp_path, hospital.url) as node:
        node.sql("DROP TABLE alembic_version")
        node.sql("CREATE TABLE accounts (number INTEGER)")
    with pytest.raises(NodeError, match="is not empty: it has the table accounts"):
        hospital.move()


def test_an_unfinished_copy_of_another_node_is_refused(hospital: Hospital, tmp_path: Path) -> None:
    """Its rows would be mixed with ours."""
    with pytest.raises(CutOff):
        hospital.move(rows=6)
    (tmp_path / "other").mkdir()
    with store_harness(tmp_path / "other") as node:
        node.clock.tick()
        node.finish(node.work("1.9"), "pacs")
    other = Hospital(tmp_path / "other", hospital.url)
    with pytest.raises(NodeError, match="unfinished copy of another node"):
        other.move()


def test_a_running_node_is_not_copied(hospital: Hospital) -> None:
    """Its rows change while they are copied."""
    with (
        only_node(hospital.folder, threading.Event()),
        pytest.raises(NodeError, match="another node runs over"),
    ):
        hospital.move()


def test_a_log_that_was_tampered_with_is_not_copied(hospital: Hospital) -> None:
    """A copy would hide when it happened."""
    with store_harness(hospital.folder) as node:
        node.sql("UPDATE audit SET detail = '{}' WHERE sequence = 2")
    with pytest.raises(NodeError, match=r"nothing was copied: .* line 2"):
        hospital.move()


def test_films_results_and_the_secret_are_copied(hospital: Hospital, tmp_path: Path) -> None:
    """Each is compared with what was received; the second folder is a data folder."""
    (hospital.folder / "models" / "one").mkdir(parents=True)
    (hospital.folder / "models" / "one" / "weights").write_bytes(b"weights")
    moved = hospital.move(tmp_path / "shared")
    assert moved.files is not None
    assert moved.files.files == 2 + 4 + 2
    assert (tmp_path / "shared" / "node.secret").read_bytes() == b"secret"
    assert (tmp_path / "shared" / "models" / "one" / "weights").read_bytes() == b"weights"


def test_a_film_that_changed_stops_the_copy(hospital: Hospital, tmp_path: Path) -> None:
    """Its bytes are not those that were answered Success; put right, the copy goes on."""
    film = next((hospital.folder / "spool").iterdir())
    film.write_bytes(b"fiim")
    with pytest.raises(NodeError, match="differs from what was received"):
        hospital.move(tmp_path / "shared")
    film.write_bytes(b"film")
    moved = hospital.move(tmp_path / "shared")
    assert moved.files is not None
    assert moved.files.earlier > 0


def test_the_command_says_what_it_copied(hospital: Hospital, tmp_path: Path) -> None:
    """As JSON for programs; a URL that store.url would not take is refused."""
    (tmp_path / "config.yaml").write_text(f"node: {{data_dir: {hospital.folder}}}")
    commands = Commands(tmp_path)
    said = commands.json("store", "copy", "--to", hospital.url)
    assert said["files"] is None
    assert {each["table"] for each in said["tables"]} >= {"studies", "audit"}
    wrong = commands.run("store", "copy", "--to", "mysql://db/node")
    assert "store.url would not take it" in str(wrong.exception)
