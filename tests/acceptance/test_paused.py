"""Processes that are stopped (SIGSTOP) past their lease and wake when others have done the work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from crash.matrix import MortalNode
from support.film import film, phantom, write
from support.peer import Peer, destination, free_port

from dicom_node.service.pidfile import processes
from dicom_node.store.status import read_status

LEASE_SECONDS = 8.0


@contextmanager
def started(folder: Path, pacs_port: int) -> Iterator[MortalNode]:
    """A node with two workers and short leases."""
    node = MortalNode(folder=folder, port=free_port())
    node.orders.mkdir(parents=True)
    settings = {
        "node": {"host": "127.0.0.1", "port": node.port, "data_dir": str(node.data_dir)},
        "destinations": [destination(pacs_port).model_dump(mode="json")],
        "study": {"quiet_seconds": 0.3},
        "gate": {"enabled": False},
        "results": {"picture_width": 512},
        "workers": {
            "count": 2, "threads": 1, "lease_seconds": LEASE_SECONDS, "max_attempts": 100
        },
        "delivery": {
            "first_retry_seconds": 0.3, "max_retry_seconds": 1.0, "lease_seconds": LEASE_SECONDS,
        },
        "spool": {"min_free_mb": 0},
    }  # fmt: skip
    node.config.write_text(yaml.safe_dump(settings))
    node.start()
    try:
        node.wait_until(node.answers)
        yield node
    finally:
        node.kill_group()


def stopped(node: MortalNode, role: str) -> int | None:
    """The process of this role that stands still."""
    for name, pid in processes(node.data_dir).items():
        status = Path(f"/proc/{pid}/status").read_text()
        if name.startswith(role) and "\nState:\tT" in status:
            return pid
    return None


def stop_at(node: MortalNode, point: str, role: str, then: Callable[[], object]) -> int:
    """Have the next of this role stand still at this point; its process id."""
    (node.orders / point).write_text(f"stop 1 {role}")
    then()
    node.wait_until(lambda: stopped(node, role))
    pid = stopped(node, role)
    assert pid is not None
    return pid


def everything_arrived(node: MortalNode, pacs: Peer, studies: int) -> bool:
    counts = read_status(node.data_dir)["deliveries"].get("pacs", {})
    here = {path.parent.name for path in pacs.instances().values()}
    return len(here) == studies and set(counts) == {"accepted"}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_process_that_wakes_after_its_lease_writes_nothing_and_sends_nothing(
    tmp_path: Path,
) -> None:
    """A worker in the middle of a reading, then a deliverer with a shipment in its hands."""
    films = [
        write(film(phantom(320, 288, seed=n, marker=None)), tmp_path / "in" / f"{n}.dcm")
        for n in range(2)
    ]
    with Peer(tmp_path / "pacs") as pacs, started(tmp_path / "node", pacs.port) as node:
        worker = stop_at(node, "work.written", "worker", lambda: node.send(films[:1]))
        node.wait_until(lambda: everything_arrived(node, pacs, 1), seconds=180)
        os.kill(worker, signal.SIGCONT)
        node.wait_until(lambda: "lease lost, result dropped" in node.log())

        deliverer = stop_at(node, "deliver.claimed", "deliverer", lambda: node.send(films[1:]))
        second = subprocess.Popen(
            [
                sys.executable, "-m", "dicom_node", "role", "deliverer", "--owner", "deliverer-2",
                "--supervisor", str(os.getpid()), "--config", node.config,
            ]
        )  # fmt: skip
        try:
            node.wait_until(lambda: everything_arrived(node, pacs, 2), seconds=180)
            os.kill(deliverer, signal.SIGCONT)
            node.wait_until(lambda: "lease lost, nothing more sent" in node.log())
        finally:
            second.kill()
            second.wait()
        assert set(pacs.times_stored().values()) == {1}
        assert node.run("audit", "verify").returncode == 0
        assert files(node) == rows(node)


def files(node: MortalNode) -> set[str]:
    return {path.stem for path in (node.data_dir / "results").rglob("*") if path.is_file()}


def rows(node: MortalNode) -> set[str]:
    return {
        result["sop_instance_uid"]
        for study in node.cli("studies", "--json")
        for result in node.cli("show", study["study_instance_uid"], "--json")["results"]
    }
