"""A film that ends its worker, or makes reading fail each time, does not stop the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.fakes import StoreHarness, read

from dicom_node.config import Config
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.values import FilmOutcome
from dicom_node.service.worker import Worker

BAD = "1.2.3"
ATTEMPTS = 3


class WorkerExited(BaseException):
    """Stands for the end of the process: no `except Exception` sees it."""


class Pipeline:
    """Reads every film but one, whose reading ends with an error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def read(self, path: Path, out: Path, **_: object) -> FilmOutcome:
        if path.stem == BAD:
            raise self.error
        return read(path.stem)


@pytest.mark.parametrize("error", [MemoryError(), WorkerExited()], ids=["raises", "exits"])
def test_the_bad_film_is_parked_alone(
    node: StoreHarness, tmp_path: Path, error: BaseException
) -> None:
    """The other films of the study are read, and their results go out."""
    for number in range(1, 6):
        node.receive(number=number)
    node.open_ready()
    config = Config.model_validate(
        {"node": {"data_dir": str(tmp_path)}, "workers": {"max_attempts": ATTEMPTS}}
    )
    worker = Worker(
        owner="worker-1",
        config=config,
        jobs=node.store.jobs,
        pipeline=Pipeline(error),  # type: ignore[arg-type]
        clock=node.clock,
    )
    for _ in range(40):
        try:
            worker.step()
        except WorkerExited:
            node.store.release("worker-1")
        node.clock.tick(60)
    decided = {row["sop_instance_uid"]: row["decision"] for row in node.rows("instances")}
    assert decided.pop(BAD) == "undecided"
    assert set(decided.values()) == {"read"}
    parked = [row for row in node.rows("jobs") if row["status"] == "parked"]
    assert [row["id"] for row in parked] == [
        row["job_id"] for row in node.rows("instances") if row["decision"] == "undecided"
    ]
    assert AuditKind.JOB_SPLIT in node.kinds()


def test_a_worker_cannot_take_more_memory_than_allowed() -> None:
    """A large allocation raises MemoryError; a small one succeeds."""
    code = (
        "from dicom_node.service.memory import limit_growth\n"
        "assert limit_growth(256)\n"
        "bytearray(64 * 2**20)\n"
        "try:\n"
        "    bytearray(512 * 2**20)\n"
        "except MemoryError:\n"
        "    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
