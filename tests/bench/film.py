"""One film through a whole node: from its last byte received to its report at the PACS."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.floors import whole_floor
from bench.inference import picture
from bench.rows import Row
from bench.run import Run
from bench.sender import Film, Sender
from bench.weights import models_dir
from pydicom.uid import Comprehensive3DSRStorage
from pynetdicom.events import Event
from support.film import film
from support.peer import Peer, destination
from support.running import RunningNode, running_node

_QUIET_SECONDS = 1.0
_FILMS = 3  # after one that warms the caches
_REST_SECONDS = 1.0  # between films, so that the node is idle when one arrives


class ReportClock(Peer):
    """A PACS that notes when the report of each study was stored."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reported: dict[str, float] = {}  # Study Instance UID -> perf_counter

    def store(self, event: Event) -> int:
        status = super().store(event)
        if event.request.AffectedSOPClassUID == Comprehensive3DSRStorage:
            study = str(event.dataset.StudyInstanceUID)
            self.reported[study] = time.perf_counter()
        return status


def whole(run: Run) -> Iterator[Row]:
    """The median of a few films without the quiet time, over the networks' arithmetic floor."""
    (folder := run.scratch / "node").mkdir()
    pacs = ReportClock(run.scratch / "pacs")
    with (
        pacs,
        running_node(
            folder,
            [destination(pacs.port)],
            study={"quiet_seconds": _QUIET_SECONDS},
            models={"dir": str(models_dir())},
        ) as node,
    ):
        node.wait_until(lambda: "networks warm" in node.log(), seconds=180)
        passed = [_pass(node, pacs, seed) for seed in range(_FILMS + 1)][1:]
    waits = [wait for wait, _ in passed]
    inside = {key: statistics.median(s[key] for _, s in passed) for key in passed[0][1]}
    total, networks = statistics.median(waits), whole_floor()
    yield Row(
        name="whole film, last byte received to report at the PACS / arithmetic floor",
        ratio=total / networks,
        target="≤ 2.0, better 1.5",
        measured=(
            f"{1000 * total:.0f} ms beyond the quiet time; floor {1000 * networks:.0f}; in the "
            f"worker {1000 * sum(inside.values()):.0f}: "
            + ", ".join(f"{key} {1000 * value:.0f}" for key, value in inside.items())
        ),
    )


def _pass(node: RunningNode, pacs: ReportClock, seed: int) -> tuple[float, dict[str, float]]:
    """Send one film; return the time until its report, and the worker's own times in seconds."""
    source = film(picture(), kind="dx", PatientID=f"P{seed}")
    study = str(source.StudyInstanceUID)
    what = Film(source)
    sender = Sender(node.port, "DICOM_NODE", [what.sop_class])
    sender.store(sender.laid_out(what))
    sender.release()
    node.wait_until(lambda: study in pacs.reported, seconds=180)
    time.sleep(_REST_SECONDS)
    wait = pacs.reported[study] - sender.sent_at - _QUIET_SECONDS
    return wait, _seconds(node.cli("show", study, "--json"))


def _seconds(story: Any) -> dict[str, float]:
    readings = [instance["reading"] for instance in story["instances"] if instance["reading"]]
    seconds: dict[str, float] = readings[0]["seconds"]
    return seconds
