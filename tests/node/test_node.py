"""The supervisor's own decisions; what it does with real processes is in tests/acceptance."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from dicom_node import node, processes
from dicom_node.errors import NodeError
from dicom_node.roles import ROLES, role_named


def test_a_process_that_keeps_dying_waits_longer_each_time() -> None:
    """Backoff doubles up to a cap, and starts anew after a steady life."""
    child = node._Child(role="worker", name="worker-1", started=100.0)
    waits = [child.next_start(101.0) - 101.0 for _ in range(12)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.25, 30.0)
    assert child.next_start(1000.0) - 1000.0 == 0.25


def test_two_nodes_do_not_share_a_data_folder(tmp_path: Path) -> None:
    """The second one gives up when it is told to stop waiting."""
    stop = threading.Event()
    stop.set()
    with node._lock(tmp_path / "node.lock", threading.Event()), pytest.raises(NodeError):
        node._lock(tmp_path / "node.lock", stop)


def test_the_lock_is_free_again_after_the_node(tmp_path: Path) -> None:
    """A node that ended leaves nothing to clean up."""
    for _ in range(2):
        node._lock(tmp_path / "node.lock", threading.Event()).close()


def test_who_is_alive_is_told_without_the_dead(tmp_path: Path) -> None:
    """A process id that is no more is not listed, nor is anything where no node ran."""
    assert processes.processes(tmp_path) == {}
    processes.publish(tmp_path, {"receiver-1": os.getpid(), "worker-1": 2**22 + 1})
    assert processes.processes(tmp_path) == {"receiver-1": os.getpid()}
    processes.publish(tmp_path, {})
    assert processes.processes(tmp_path) == {}


def test_a_role_is_one_of_three() -> None:
    """Another word is an error that names the three."""
    assert [role_named(role) for role in ROLES] == list(ROLES)
    with pytest.raises(NodeError, match="receiver, worker, deliverer"):
        role_named("janitor")
