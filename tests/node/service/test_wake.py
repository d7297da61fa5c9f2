"""A process that made work wakes the one that waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fakes import FakeClock, StoreHarness
from support.postgres import Postgres

from dicom_node.service.wake import Bell, Bells
from dicom_node.store import libpq
from dicom_node.store.database import announce, writing
from dicom_node.store.store import open_store

_LONG = 20.0  # seconds; never waited for


@pytest.fixture
def waiter(tmp_path: Path) -> Iterator[Bell]:
    bell = Bell(tmp_path, "work")
    bell.listen()
    yield bell
    bell.close()


def test_a_ring_ends_the_wait(waiter: Bell, tmp_path: Path) -> None:
    """Of a waiter in another process: all they share is the folder."""
    began = time.monotonic()
    threading.Timer(0.05, Bell(tmp_path, "work").ring).start()
    waiter.wait(_LONG)
    assert 0.04 < time.monotonic() - began < _LONG / 2


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_no_pipe_is_not_listened_to(tmp_path: Path, kind: str) -> None:
    """As after a restored backup: the waiter waits its time, and a ring changes nothing."""
    path, other = tmp_path / "work.wake", tmp_path / "other"
    other.write_bytes(b"kept")
    make: dict[str, Callable[[], object]] = {
        "file": lambda: path.write_bytes(b"kept"),
        "link": lambda: path.symlink_to(other),
        "folder": path.mkdir,
    }
    make[kind]()
    bell = Bell(tmp_path, "work")
    bell.listen()
    assert not bell.wait(0.05)
    Bell(tmp_path, "work").ring()
    bell.close()
    assert other.read_bytes() == b"kept"
    assert kind != "file" or path.read_bytes() == b"kept"


def test_a_ring_before_the_wait_is_not_lost(waiter: Bell, tmp_path: Path) -> None:
    """Work that was made while the waiter was at work; several rings are one."""
    for _ in range(3):
        Bell(tmp_path, "work").ring()
    began = time.monotonic()
    waiter.wait(_LONG)
    assert time.monotonic() - began < _LONG / 2
    waiter.wait(0.05)
    assert time.monotonic() - began >= 0.05


def test_a_ring_wakes_every_waiter(waiter: Bell, tmp_path: Path) -> None:
    """One of several workers takes the work, whichever is first; none is left stuck in a read."""
    other = Bell(tmp_path, "work")
    other.listen()
    waits = [threading.Thread(target=each.wait, args=(0.5,)) for each in (waiter, other)]
    for each in waits:
        each.start()
    Bell(tmp_path, "work").ring()
    for each in waits:
        each.join(_LONG)
    other.close()
    assert not any(each.is_alive() for each in waits)


def test_nothing_happens_where_there_is_no_waiter(tmp_path: Path) -> None:
    """No pipe yet, or one that its reader has left: ringing neither blocks nor fails."""
    bell = Bell(tmp_path, "work")
    bell.ring()
    bell.listen()
    bell.close()
    bell.ring()


def test_a_pipe_full_of_rings_does_not_block(waiter: Bell, tmp_path: Path) -> None:
    """A waiter that hangs stops no one else."""
    ringer = Bell(tmp_path, "work")
    for _ in range(70_000):
        ringer.ring()
    waiter.wait(_LONG)


def test_without_a_pipe_there_is_polling(tmp_path: Path) -> None:
    """A file system that knows no pipes: the wait lasts its whole time."""
    (tmp_path / "work.wake").mkdir()
    bell = Bell(tmp_path, "work")
    bell.listen()
    began = time.monotonic()
    bell.wait(0.05)
    assert time.monotonic() - began >= 0.05


def test_the_pipe_is_private(waiter: Bell, tmp_path: Path) -> None:
    """As every file of the data folder."""
    assert (tmp_path / "work.wake").stat().st_mode & 0o077 == 0


@pytest.fixture
def cluster(server: Postgres, migrated: str, tmp_path: Path) -> Iterator[StoreHarness]:
    """The store of one machine of a cluster."""
    name = server.create(migrated)
    store = open_store(tmp_path, FakeClock(), server.url(name))
    yield StoreHarness(store, FakeClock(), server.url(name))
    store.close()
    server.drop(name)


@pytest.fixture
def elsewhere(cluster: StoreHarness, tmp_path: Path) -> Iterator[Bells]:
    """What is waited for on another machine, which shares no pipe with this one."""
    (tmp_path / "elsewhere").mkdir()
    bells = Bells.of(tmp_path / "elsewhere", cluster.url)
    for each in (bells.readings, bells.deliveries):
        each.listen()
        assert not each.wait(0)  # from here on it hears
    yield bells
    bells.readings.close()
    bells.deliveries.close()


def test_work_that_is_committed_wakes_the_waiters_of_other_machines(
    cluster: StoreHarness, elsewhere: Bells
) -> None:
    """A study that is opened wakes the workers, a finished or lost reading those who come next."""
    job = cluster.work()
    assert elsewhere.readings.wait(_LONG)
    assert not elsewhere.deliveries.wait(0)
    cluster.store.release("worker-1")
    assert elsewhere.readings.wait(_LONG)
    job = cluster.claim()
    cluster.finish(job, "pacs")
    assert elsewhere.deliveries.wait(_LONG)
    assert not elsewhere.readings.wait(0)


def test_work_that_is_not_committed_wakes_no_one(cluster: StoreHarness, elsewhere: Bells) -> None:
    """A waiter that came before the commit would find nothing, and then wait for its poll."""
    with writing(cluster.store._engine) as connection:
        announce(connection, libpq.READINGS)
        assert not elsewhere.readings.wait(0.05)
    assert elsewhere.readings.wait(_LONG)


def test_a_waiter_hears_again_after_the_database_ended_its_connection(
    cluster: StoreHarness, tmp_path: Path
) -> None:
    """As after a restart of PostgreSQL; meanwhile it polls."""
    bell = Bell(tmp_path, "work", libpq.Announcements(cluster.url, libpq.READINGS, 0.0))
    assert not bell.wait(0)
    cluster.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )
    assert bell.wait(_LONG)  # the end of the connection
    while bell.wait(0.05):
        pass
    cluster.work()
    assert bell.wait(_LONG)
    bell.close()


def test_where_the_database_is_away_there_is_polling(tmp_path: Path) -> None:
    """The wait lasts its whole time, and pipes are heard."""
    bell = Bells.of(tmp_path, f"postgresql+psycopg://postgres@/none?host={tmp_path}").readings
    bell.listen()
    assert not bell.wait(0.05)
    Bell(tmp_path, "readings").ring()
    assert bell.wait(_LONG)
    bell.close()
