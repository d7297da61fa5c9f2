"""Every test of the store runs on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.postgres import Postgres

from dicom_node.store.plain import SQLITE


@pytest.fixture(params=[SQLITE, "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """A ``store.url`` of each kind; its tables exist, unless it is SQLite's."""
    yield from _database(request, "migrated")


@pytest.fixture(params=[SQLITE, "postgresql"])
def empty_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """A ``store.url`` of each kind, without tables."""
    yield from _database(request)


def _database(request: pytest.FixtureRequest, *templates: str) -> Iterator[str]:
    """A database of the kind asked for, made from the databases that fixtures name."""
    if request.param == SQLITE:
        yield SQLITE
        return
    server: Postgres = request.getfixturevalue("server")
    name = server.create(*map(request.getfixturevalue, templates))
    yield server.url(name)
    server.drop(name)
