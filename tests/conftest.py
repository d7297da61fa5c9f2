"""The log as it was, a PostgreSQL server for the tests that want one, and a store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from support.fakes import FakeClock, StoreHarness, store_harness
from support.postgres import Postgres, postgres, programs

from dicom_node.store.plain import SQLITE
from dicom_node.store.store import open_store


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """Take back what a test configures: its log's stream is closed when it ends."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Give torch one thread, whatever an earlier test gave it: a test computes as it does alone."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """One PostgreSQL server for all tests of a run."""
    if programs() is None:
        pytest.skip("needs the extra `cluster` and PostgreSQL (apt-get install postgresql)")
    with postgres() as running:
        yield running


@pytest.fixture(scope="session")
def migrated(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with all tables: copying it is faster than migrating."""
    name = server.create()
    open_store(tmp_path_factory.mktemp("migrated"), FakeClock(), server.url(name)).close()
    return name


@pytest.fixture
def database() -> str:
    """The ``store.url`` of a test: SQLite's, unless its folder says otherwise."""
    return SQLITE


@pytest.fixture
def node(tmp_path: Path, database: str) -> Iterator[StoreHarness]:
    """A store and its clock."""
    with store_harness(tmp_path, database) as made:
        yield made
