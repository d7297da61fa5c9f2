"""`backfill`: from a PACS that offers C-GET into a node's folder, in process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from support.archive import Archive
from support.commands import Commands
from support.film import write
from support.receiving import small_film

from dicom_node.deliver.examine.offers import FIND, GET
from dicom_node.service import pidfile
from dicom_node.store.store import open_store

RANGE = ("backfill", "--from", "pacs", "--date", "20260105-20260106")


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "pacs", services=(FIND, GET)) as archive:
        for day in ("20260105", "20260106", "20260107"):
            film = small_film(StudyDate=day, StudyInstanceUID=f"1.2.{day}", SOPInstanceUID=day)
            folder = archive.folder / film.StudyInstanceUID
            folder.mkdir()
            write(film, folder / f"{film.SOPInstanceUID}.dcm")
        yield archive


@pytest.fixture
def site(tmp_path: Path, pacs: Archive) -> Commands:
    """A folder over which a node seems to run."""
    peer = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}
    config = {
        "node": {"data_dir": str(tmp_path / "data")},
        "destinations": [peer, {"name": "disk", "kind": "folder", "path": str(tmp_path)}],
        "spool": {"min_free_mb": 0},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    open_store(tmp_path / "data", lambda: datetime.now(UTC)).close()
    pidfile.publish(tmp_path / "data", {"supervisor": os.getpid()})
    return Commands(tmp_path)


def test_a_backfill_fetches_the_days_once(site: Commands) -> None:
    """The same command again finds nothing to do; `show` and `stats` say where films are from."""
    expected = {"wanted": 2, "fetched": 0, "present": 0}
    assert site.json(*RANGE, "--dry-run")["studies"].items() >= expected.items()
    first = site.json(*RANGE)
    assert (first["studies"]["fetched"], first["instances"], first["reasons"]) == (2, 2, {})
    again = site.json(*RANGE)
    assert (again["studies"]["gone"], again["instances"]) == (2, 0)
    assert "(backfill)" in site.run("show", "1.2.20260105").stdout
    (counted,) = site.json("stats").values()
    assert (counted["films"], counted["backfilled"]) == (2, 2)


def test_a_person_sees_what_came(site: Commands) -> None:
    """Counts in words."""
    assert site.run(*RANGE).stdout.splitlines() == [
        "studies    2 fetched",
        "instances  2 came",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "disk", "--date", "20260105"), "disk is no PACS"),
        (("--from", "pacs", "--date", "2026-01-05"), "write 20260131"),
        (("--from", "pacs", "--date", "20260105-20260101"), "ends before it begins"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(
    site: Commands, words: tuple[str, ...], said: str
) -> None:
    """With a sentence that says what to write."""
    assert said in str(site.run("backfill", *words).exception)


def test_a_stopped_node_would_read_nothing(site: Commands) -> None:
    """So the films are not fetched."""
    pidfile.publish(site.folder / "data", {})
    assert "the node is not running" in str(site.run(*RANGE).exception)
