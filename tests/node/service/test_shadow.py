"""The candidate beside the real reading: it may fail in any way and harms nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from support.fakes import StoreHarness, read, store_harness
from support.postgres import Postgres

from dicom_node.dicom.blobs import Folder
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.values import FilmOutcome
from dicom_node.errors import ModelError
from dicom_node.pipeline import Pipeline
from dicom_node.service.alarms import reception
from dicom_node.service.shadow import ShadowReader, candidate_of
from models.reading import ModelIdentity

CANDIDATE = ModelIdentity(version="2.0.0", digests={}, h2_variant="cam")
USED = ModelIdentity(version="1.0.0", digests={}, h2_variant="cam")


class Candidate:
    """A pipeline that reads every film, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.paths: list[Path] = []

    def score(self, path: Path, *, sender: str) -> FilmOutcome:
        self.paths.append(path)
        if self.error:
            raise self.error
        return read("1.2.1", objects=0)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StoreHarness]:
    with store_harness(tmp_path) as made:
        for number in range(4):
            made.finish(made.work(f"1.{number}"))
        yield made


def _reader(
    node: StoreHarness,
    load: Callable[[], Candidate],
    identify: Callable[[], ModelIdentity] = lambda: CANDIDATE,
) -> ShadowReader:
    return ShadowReader(
        blobs=Folder(Path("/data")),
        identify=identify,
        load=lambda: cast(Pipeline, load()),
        shadow=node.store.shadow,
        audit=node.store.audit,
        used=USED,
        alone=node.store.has_the_candidate,
    )


def _raise(error: Exception) -> Candidate:
    raise error


def test_it_is_loaded_at_the_first_film_and_reads_one_at_each_step(node: StoreHarness) -> None:
    """So the worker looks for real work after each film."""
    loaded: list[Candidate] = []

    def load() -> Candidate:
        loaded.append(Candidate())
        return loaded[-1]

    reader = _reader(node, load)
    assert not loaded
    assert [reader.step() for _ in range(5)] == [True] * 4 + [False]
    assert len(loaded) == 1
    assert len(loaded[0].paths) == 4


@pytest.mark.parametrize("load", [lambda: Candidate(MemoryError()), lambda: _raise(OSError())])
def test_a_broken_candidate_is_left_alone_after_three_films_and_alarms(
    node: StoreHarness, load: Callable[[], Candidate]
) -> None:
    """Whether it cannot be loaded or cannot read."""
    reader = _reader(node, load)
    assert [reader.step() for _ in range(5)] == [True, True, True, False, False]
    assert reader.is_off
    assert node.kinds().count(AuditKind.SHADOW_FAILED) == 4


def test_files_that_are_not_a_model_are_said_once(node: StoreHarness) -> None:
    """With the reason; no film is tried."""
    reader = _reader(node, Candidate, lambda: _raise_model())
    assert [reader.step() for _ in range(3)] == [False] * 3
    lines = [line.event for line in node.store.audit.all()]
    assert lines[-1].detail["reason"] == "altered"
    assert node.rows("shadow_readings") == []


def test_a_candidate_that_is_in_use_reads_nothing(node: StoreHarness) -> None:
    """It was promoted; each film would be read twice by the same networks."""
    reader = _reader(node, Candidate)
    reader.used = CANDIDATE
    assert not reader.step()
    assert AuditKind.SHADOW_FAILED not in node.kinds()


def _raise_model() -> ModelIdentity:
    raise ModelError("altered")


def test_status_shows_that_a_candidate_failed(node: StoreHarness, tmp_path: Path) -> None:
    """For a day."""
    from dicom_node.config import Config

    reader = _reader(node, Candidate, lambda: _raise_model())
    reader.step()
    config = Config.model_validate({"node": {"data_dir": str(tmp_path)}})
    (alarm,) = reception(config, node.clock.now)
    assert alarm.code == "shadow-failed"


@pytest.mark.parametrize("member", ["", "reader-1/"])
def test_the_first_worker_of_a_machine_has_the_candidate(node: StoreHarness, member: str) -> None:
    """Alone or in a cluster, where leases carry the machine's name; another worker has none."""
    from dicom_node.config import Config

    config = Config.model_validate({"models": {"shadow": "/models/new"}})
    assert candidate_of(config, node.store, USED, f"{member}worker-1")
    assert candidate_of(config, node.store, USED, f"{member}worker-2") is None
    assert candidate_of(Config(), node.store, USED, f"{member}worker-1") is None


def test_one_machine_of_a_cluster_reads_with_the_candidate(
    server: Postgres, migrated: str, tmp_path: Path
) -> None:
    """Each film is read once; when that machine ends, another one goes on."""
    url = server.url(server.create(migrated))
    with store_harness(tmp_path, url) as first, store_harness(tmp_path, url) as second:
        for number in range(3):
            first.finish(first.work(f"1.{number}"))
        one, two = _reader(first, Candidate), _reader(second, Candidate)
        assert (one.step(), two.step()) == (True, False)
        first.store.close()
        two = _reader(second, Candidate)
        assert [two.step() for _ in range(3)] == [True, True, False]
        assert [row["fault"] for row in second.rows("shadow_readings")] == [None] * 3
