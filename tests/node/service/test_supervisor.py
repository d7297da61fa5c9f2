"""The supervisor's own decisions; what it does with real processes is in tests/acceptance."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
from support.fakes import store_harness

from dicom_node.config import Config
from dicom_node.domain.audit import AuditKind
from dicom_node.errors import NodeError
from dicom_node.service import pidfile, signals, supervisor
from dicom_node.service.processes import ROLES, role_named
from dicom_node.service.roles import CANNOT_START


def test_a_process_that_keeps_dying_waits_longer_each_time() -> None:
    """Backoff doubles up to a cap, and restarts after a steady run."""
    child = supervisor._Child(role="worker", name="worker-1", owner="worker-1", started=100.0)
    waits = [child.next_start(101.0) - 101.0 for _ in range(12)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.25, 30.0)
    assert child.next_start(1000.0) - 1000.0 == 0.25


def test_a_death_that_cannot_be_recorded_is_recorded_later(tmp_path: Path) -> None:
    """A full disk does not take the supervisor along; the dead one stays down meanwhile."""
    settings = Config.model_validate({"node": {"data_dir": str(tmp_path)}})
    dead = subprocess.Popen(["true"])
    dead.wait()
    child = supervisor._Child(role="worker", name="worker-1", owner="worker-1", process=dead)
    running = supervisor.Supervisor(config=settings, config_path=None, children=[child])
    with store_harness(tmp_path) as made, (tmp_path / "lock").open("w") as lock:
        with closing(made.store._engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA query_only=ON")  # of the one connection there is
        for _ in range(3):
            running._tick(made.store, lock)
        assert child.process is dead
        assert running.cannot_write
        with closing(made.store._engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA query_only=OFF")
        running._reap_and_start(made.store, lock)
        assert child.due > 0
        assert made.kinds() == [AuditKind.PROCESS_EXITED]


def test_only_living_processes_are_listed(tmp_path: Path) -> None:
    """A process id that is no more is not listed, nor is anything where no node ran."""
    assert pidfile.processes(tmp_path) == {}
    pidfile.publish(tmp_path, {"receiver-1": os.getpid(), "worker-1": 2**22 + 1})
    assert pidfile.processes(tmp_path) == {"receiver-1": os.getpid()}
    pidfile.publish(tmp_path, {})
    assert pidfile.processes(tmp_path) == {}


@pytest.mark.parametrize(("starts", "ends"), [(1, True), (2, False)])
def test_a_process_that_says_it_cannot_start_ends_the_node(
    tmp_path: Path, starts: int, ends: bool
) -> None:
    """At its first start, as with altered weights; one that has worked is started again."""
    settings = Config.model_validate({"node": {"data_dir": str(tmp_path)}})
    process = subprocess.Popen(["sh", "-c", f"exit {CANNOT_START}"])
    process.wait()
    child = supervisor._Child(
        role="worker", name="worker-1", owner="worker-1", process=process, starts=starts
    )
    running = supervisor.Supervisor(config=settings, config_path=None, children=[child])
    with store_harness(tmp_path) as made, (tmp_path / "lock").open("w") as lock:
        expected = (
            pytest.raises(NodeError, match="worker-1 cannot start") if ends else nullcontext()
        )
        with expected:
            running._tick(made.store, lock)


def test_a_role_is_one_of_three() -> None:
    """Another word is an error that names the three."""
    assert [role_named(role) for role in ROLES] == list(ROLES)
    with pytest.raises(NodeError, match="receiver, worker, deliverer"):
        role_named("janitor")


@pytest.mark.parametrize(
    ("number", "terminal", "stops"),
    [
        (signal.SIGTERM, [True], True),
        (signal.SIGINT, [True], True),
        (signal.SIGHUP, [True, False], True),
        (signal.SIGHUP, [True, True], False),
        (signal.SIGHUP, [False, False], False),
    ],
    ids=["ended", "Ctrl-C", "terminal closed", "hang-up in a terminal", "hang-up by systemd"],
)
def test_a_closed_terminal_drains_the_node_and_another_hang_up_reloads(
    number: signal.Signals, terminal: list[bool], stops: bool
) -> None:
    """SIGHUP means both; it is the first if the terminal of the start is gone."""
    before = {
        each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    }
    try:
        asked = signals.heed_signals(iter(terminal).__next__)
        signal.raise_signal(number)
        assert (asked.stop.is_set(), asked.reload.is_set()) == (stops, not stops)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
