"""A node of processes whose films and results are in a bucket, and its state in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from crash.orders import Order
from crash.stand_in.obedience import VARIABLE
from support.film import film, phantom, write
from support.peer import Peer, destination
from support.postgres import Postgres
from support.running import STAND_IN, RunningNode, running_node
from support.s3 import S3, s3_server

OUT_OF_RESOURCES = 0xA700

pytestmark = pytest.mark.timeout(420)


@dataclass
class Site:
    """A node, its bucket and its PACS."""

    folder: Path
    node: RunningNode
    s3: S3
    pacs: Peer
    orders: Path
    films: int = 0

    def film(self) -> Path:
        self.films += 1
        ds = film(phantom(320, 288, seed=self.films, marker=None))
        return write(ds, self.folder / f"{self.films}.dcm")

    def come_back(self, path: Path, objects: int = 2) -> None:
        """Wait until the PACS has the results of a film; each came once."""
        study = str(pydicom.dcmread(path).StudyInstanceUID)
        self.node.wait_until(lambda: self._of(study) >= objects, seconds=240)
        assert set(self.pacs.times_stored().values()) == {1}

    def _of(self, study: str) -> int:
        return sum(f"/{study}/" in str(path) for path in self.pacs.instances().values())

    def orphans(self) -> list[str]:
        found: list[str] = self.node.cli("store", "orphans", "--older-hours", "0", "--json")[
            "orphans"
        ]
        return found


@pytest.fixture(scope="module")
def site(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One node for all stories: each is about films of its own."""
    top = tmp_path_factory.mktemp("bucket")
    for folder in ("node", "orders"):
        (top / folder).mkdir()
    database = server.create()
    with s3_server() as s3, Peer(top / "pacs") as pacs:
        settings = {"url": server.url(database), **s3.settings("node")}
        with running_node(
            top / "node", [destination(pacs.port)], store=settings, spool={"min_free_mb": 0},
            environment={**STAND_IN, VARIABLE: str(top / "orders")},
        ) as node:  # fmt: skip
            yield Site(top, node, s3, pacs, top / "orders")
    server.drop(database)


def test_a_film_goes_through_the_bucket_and_comes_back(site: Site) -> None:
    """The data folder holds no film and no result; every object has a row."""
    path = site.film()
    assert site.node.send([path]) == [0]
    site.come_back(path)
    kept = [name for top in ("spool", "results") for name, _ in names(site, top)]
    assert len([name for name in kept if name.parts[0] == "spool"]) == site.films
    assert len([name for name in kept if name.parts[0] == "results"]) >= 2
    assert list(site.node.data_dir.rglob("*.dcm")) == []
    assert site.orphans() == []
    assert site.node.cli("doctor", "bucket", "--json")["faults"] == []
    assert site.node.run("audit", "verify").returncode == 0


def names(site: Site, top: str) -> list[tuple[Path, object]]:
    return list(site.s3.open(site.node.data_dir, "node").names(Path(top)))


def test_a_bucket_that_is_away_delays_films_and_loses_none(site: Site) -> None:
    """A film is refused as with a full disk; one that was taken before is read afterwards."""
    path, refused = site.film(), site.film()
    (site.orders / "work.claimed").write_text("slow 1 worker")  # until the bucket is away
    assert site.node.send([path]) == [0]
    site.s3.stop()
    try:
        assert site.node.send([refused]) == [OUT_OF_RESOURCES]
        codes = {alarm["code"] for alarm in site.node.cli("status", "--json")["alarms"]}
        assert "bucket" in codes
        site.node.wait_until(lambda: "waiting for films and results" in site.node.log())
    finally:
        site.s3.start()
    assert site.node.send([refused]) == [0]
    for each in (path, refused):
        site.come_back(each)
    assert site.orphans() == []


def test_processes_that_die_between_bucket_and_row_double_nothing(site: Site) -> None:
    """A reading is done again, and its first results go; a film without a row is found."""
    path = site.film()
    Order(process="worker", point="work.finishing", passes=1).give(site.orders)
    assert site.node.send([path]) == [0]
    site.node.wait_until(lambda: (site.orders / "work.finishing.hit").exists())
    site.come_back(path)
    assert site.orphans() == []

    path = site.film()
    Order(process="receiver", point="receive.renamed", passes=1).give(site.orders)
    assert site.node.send([path]) != [0]
    site.node.wait_until(site.node.answers)
    assert site.node.send([path]) == [0]
    site.come_back(path)
    [orphan] = site.orphans()
    refused = site.node.run("store", "orphans", "--older-hours", "0", "--delete")
    assert refused.returncode == 1
    site.s3.open(site.node.data_dir, "node").delete([Path(orphan)])
    assert site.orphans() == []
