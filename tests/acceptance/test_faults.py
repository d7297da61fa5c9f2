"""What a disk can do to a node: full, read-only, slow; a file on it damaged, or gone."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import yaml
from crash.matrix import MortalNode
from pydicom import dcmread
from support.film import film, phantom, write
from support.peer import Peer, destination, free_port
from support.running import COMMAND

from dicom_node.service.pidfile import processes
from dicom_node.store.status import read_status

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")

FULL = 0xA700


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own, of this size."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder], check=False
    )
    if made.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def mortal(
    folder: Path, pacs_port: int, data_dir: Path | None = None, **sections: dict[str, Any]
) -> Iterator[MortalNode]:
    """A node of real processes with stand-in networks; started, and gone afterwards."""
    node = MortalNode(folder=folder, port=free_port())
    node.orders.mkdir(parents=True)
    settings: dict[str, Any] = {
        "node": {
            "host": "127.0.0.1", "port": node.port, "data_dir": str(data_dir or node.data_dir)
        },
        "destinations": [destination(pacs_port).model_dump(mode="json")],
        "study": {"quiet_seconds": 0.3},
        "gate": {"enabled": False},
        "results": {"picture_width": 512},
        "delivery": {"first_retry_seconds": 0.3, "max_retry_seconds": 1.0},
        "spool": {"min_free_mb": 0},
    }  # fmt: skip
    for section, keys in sections.items():
        settings[section] = {**settings.get(section, {}), **keys}
    node.config.write_text(yaml.safe_dump(settings))
    node.start()
    try:
        node.wait_until(node.answers)
        yield node
    finally:
        node.kill_group()


def films(folder: Path, count: int) -> list[Path]:
    made = [film(phantom(320, 288, seed=n, marker=None)) for n in range(count)]
    return [write(ds, folder / f"{n}.dcm") for n, ds in enumerate(made)]


def reports(pacs: Peer) -> int:
    """Studies whose report is at the PACS."""
    return sum("KO" in name for name in kinds(pacs))


def kinds(pacs: Peer) -> list[str]:
    return [
        str(dcmread(path, stop_before_pixels=True).Modality) for path in pacs.instances().values()
    ]


@needs_mount
def test_a_full_disk_refuses_films_and_recovers_alone(tmp_path: Path) -> None:
    """Not one byte is left: C-STORE says 0xA700, C-ECHO answers, and room is all that is needed."""
    first, second = films(tmp_path / "in", 2)
    with (
        disk(tmp_path / "disk", 24) as small,
        Peer(tmp_path / "pacs") as pacs,
        mortal(tmp_path / "node", pacs.port, small / "data") as node,
    ):
        assert node.send([first]) == [0]
        node.wait_until(lambda: reports(pacs) == 1)
        fill(small / "filler")
        assert node.send([second]) == [FULL]
        os.kill(processes(small / "data")["worker-1"], signal.SIGKILL)
        sleep(1.0)  # five looks of the supervisor, which can write nothing down
        assert node.answers()
        assert node.process is not None
        assert node.process.poll() is None
        (small / "filler").unlink()
        node.wait_until(lambda: node.send([second]) == [0], seconds=60)
        node.wait_until(lambda: reports(pacs) == 2)
        assert node.run("audit", "verify").returncode == 0


def fill(path: Path) -> None:
    """Take every byte that is left."""
    with path.open("wb", buffering=0) as filler:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    filler.write(b"\0" * size)
            except OSError:
                continue


@needs_mount
def test_a_node_over_a_read_only_disk_does_not_start(tmp_path: Path) -> None:
    """One sentence that names the file, no traceback; the disk is as it was."""
    with disk(tmp_path / "disk", 8) as small:
        data = small / "data"
        data.mkdir()
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        done = start_without_success(tmp_path, data)
        assert done.returncode == 1
        assert str(data) in done.stderr
        assert "Traceback" not in done.stderr
        assert list(data.iterdir()) == []


def test_a_node_over_a_damaged_database_does_not_start(tmp_path: Path) -> None:
    """The sentence has a code, `doctor store` says the same, and not a byte changes."""
    first = films(tmp_path / "in", 1)
    with (
        Peer(tmp_path / "pacs") as pacs,
        mortal(tmp_path / "node", pacs.port) as node,
    ):
        assert node.send(first) == [0]
        node.wait_until(lambda: reports(pacs) == 1)
        assert node.stop() == 0
        assert node.run("doctor", "store").returncode == 0
        database = node.data_dir / "node.db"
        whole = bytearray(database.read_bytes())
        whole[4 * 4096 : 5 * 4096] = b"\xa5" * 4096
        database.write_bytes(whole)
        refused = node.run("run")
        assert refused.returncode == 1
        assert "database-damaged" in refused.stderr
        printed = node.run("doctor", "store")
        assert (printed.returncode, "database-damaged" in printed.stdout) == (1, True)
        assert database.read_bytes() == bytes(whole)


def test_slow_disks_and_files_that_are_gone_cost_their_own_study_at_most(tmp_path: Path) -> None:
    """A film deleted before it is read is parked; a result before it is sent is held."""
    gone, slow, last = films(tmp_path / "in", 3)
    port = free_port()
    with mortal(
        tmp_path / "node", port, study={"quiet_seconds": 3.0}, workers={"max_attempts": 1}
    ) as node:
        assert node.send([gone]) == [0]
        [film_file] = (node.data_dir / "spool/instances").rglob("*.dcm")
        film_file.unlink()
        node.wait_until(lambda: read_status(node.data_dir)["jobs"].get("parked") == 1)

        (node.orders / "receive.synced").write_text("slow 1 receiver")
        assert node.send([slow]) == [0]
        assert (node.orders / "receive.synced.hit").exists()
        (node.orders / "audit.appended").write_text("slow 1 worker")
        assert node.send([last]) == [0]
        node.wait_until(lambda: read_status(node.data_dir)["jobs"].get("done") == 2)

        lost = sorted((node.data_dir / "results").rglob("*.dcm"))[0]
        lost.unlink()
        pacs = Peer(tmp_path / "later")
        pacs.port = port
        with pacs:
            waiting = {"pending", "sending", "sent"}
            node.wait_until(
                lambda: not waiting & set(read_status(node.data_dir)["deliveries"]["pacs"])
            )
            counts = read_status(node.data_dir)["deliveries"]["pacs"]
            assert counts.pop("held") == 1
            assert sum(counts.values()) == len(pacs.instances()) > 2
            assert lost.stem not in pacs.instances()
        assert node.run("audit", "verify").returncode == 0


def start_without_success(folder: Path, data_dir: Path) -> subprocess.CompletedProcess[str]:
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"node": {"data_dir": str(data_dir), "port": free_port()}}))
    return subprocess.run(
        [COMMAND, "run", "--config", config],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
