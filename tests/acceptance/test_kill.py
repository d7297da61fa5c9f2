"""SIGKILL in the middle of six studies: each result arrives, and each exactly once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pydicom
import pytest
from support.film import film, phantom, write
from support.peer import Peer, destination
from support.running import STAND_IN, RunningNode, running_node

STUDIES = 6


@pytest.mark.timeout(420)
def test_killing_every_process_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """Receiver, worker, deliverer and supervisor die once each while six studies pass."""
    (tmp_path / "node").mkdir()
    films = [
        film(phantom(seed=n, opacity=0.9 * (n % 2)), PatientID=f"P{n}") for n in range(STUDIES)
    ]
    paths = [write(ds, tmp_path / "in" / f"{n}.dcm") for n, ds in enumerate(films)]
    with (
        Peer(tmp_path / "pacs", delay_seconds=0.05) as pacs,
        running_node(tmp_path / "node", [destination(pacs.port)], environment=STAND_IN) as node,
    ):
        victims = {1: "receiver-1", 2: "worker-1", 4: "deliverer-1", 5: "supervisor"}
        killed: set[int] = set()
        for number, path in enumerate(paths):
            if number in victims:
                # Let the node be in the middle of something before it dies.
                node.wait_until(lambda: len(pacs.instances()) > 0, seconds=120)
                _kill(node, victims[number], killed)
            _send_until_stored(node, path)
        node.wait_until(lambda: _settled(node), seconds=240)
        assert node.cli("status", "--json")["jobs"] == node.status()["jobs"]
        _each_film_has_one_set_of_results(films, pacs)
        verify = node.run("audit", "verify")
        assert verify.returncode == 0, verify.stdout
        story = node.cli("audit", "tail", "-n", "5000", "--json")
        exits = [line["detail"]["process"] for line in story if line["kind"] == "process-exited"]
        assert {"receiver-1", "worker-1", "deliverer-1"} <= set(exits)
        assert _files_without_a_row(node) == set()


def _kill(node: RunningNode, victim: str, killed: set[int]) -> None:
    if victim == "supervisor":  # not before it has seen how the others died
        others = {"receiver-1", "worker-1", "deliverer-1"}
        node.wait_until(
            lambda: (pids := node.pids()).keys() >= others and not killed & set(pids.values())
        )
    killed.add(node.kill(victim))
    if victim == "supervisor":
        assert node.process is not None
        node.process.wait(10)
        node.start()  # waits for the orphans to notice and to give up the data folder


def _send_until_stored(node: RunningNode, path: Path) -> None:
    """As a modality does: what was not answered Success is sent again."""
    node.wait_until(lambda: node.send([path]) == [0x0000], seconds=120)


def _settled(node: RunningNode) -> bool:
    status = node.status()
    jobs, deliveries = status["jobs"], status["deliveries"]["pacs"]
    return (
        status["instances"].get("undecided", 0) == 0
        and jobs.get("done", 0) >= STUDIES
        and jobs.get("waiting", 0) + jobs.get("running", 0) == 0
        and set(deliveries) <= {"accepted", "committed"}
    )


def _each_film_has_one_set_of_results(films: list[pydicom.Dataset], pacs: Peer) -> None:
    kinds: dict[str, Counter[str]] = {ds.StudyInstanceUID: Counter() for ds in films}
    for path in pacs.instances().values():
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        number = f"{ds.Modality} {ds.SeriesNumber}/{ds.InstanceNumber}"
        kinds[ds.StudyInstanceUID][number] += 1
    for study, counted in kinds.items():
        assert counted, f"nothing came back for {study}"
        assert set(counted.values()) == {1}, f"{study}: {json.dumps(counted)}"
        assert sum(key.startswith("SR") for key in counted) == 1


def _files_without_a_row(node: RunningNode) -> set[str]:
    """Composed objects on disk that no study's story knows."""
    on_disk = {path.stem for path in (node.data_dir / "results").rglob("*.dcm")}
    recorded = {
        result["sop_instance_uid"]
        for study in node.cli("studies", "--limit", "1000", "--json")
        for result in node.cli("show", study["study_instance_uid"], "--json")["results"]
    }
    return on_disk - recorded
