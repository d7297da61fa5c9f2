"""One film through a whole node: from its last byte received to its report at the PACS."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.floors import whole_floor
from bench.inference import picture
from bench.rows import Row
from bench.run import Run
from bench.sender import Film, Sender
from bench.weights import VERSIONS, Version, models_dir
from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage
from pynetdicom.events import Event
from support.film import film
from support.peer import Peer, destination
from support.running import RunningNode, running_node

_QUIET_SECONDS = 1.0
_FILMS = 3  # after one that warms the caches
_CROWD = 16  # films of `throughput`
_WORKERS = (
    (1, 2),
    (2, 1),
)  # workers and threads of each: the default, and one for each of two cores
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


@dataclass(frozen=True, slots=True)
class _Passed:
    """One film's way: seconds to its report, its steps with their seconds, bytes at the PACS."""

    wait: float
    steps: dict[str, float]
    size: int


def whole(run: Run) -> Iterator[Row]:
    """The median of a few films without the quiet time, over the networks' arithmetic floor."""
    paper, lite = (_films(run, version) for version in VERSIONS)
    total, networks = _median(paper), whole_floor()
    yield Row(
        name="whole film, last byte received to report at the PACS / arithmetic floor",
        ratio=total / networks,
        target="≤ 4.0, better 3.0",
        measured=f"{1000 * total:.0f} ms beyond the quiet time; floor {1000 * networks:.0f}",
    )
    yield Row(
        name="whole film, version lite / version paper",
        ratio=_median(lite) / total,
        target="≤ 0.5, better 0.35",
        measured=f"{1000 * _median(lite):.0f} / {1000 * total:.0f} ms",
    )
    for version, passed in zip(VERSIONS, (paper, lite), strict=True):
        yield Row(name=f"where the time goes, version {version}", measured=_steps(passed))
    size = statistics.median(each.size for each in lite)
    yield Row(name="bytes at the PACS for one film", target="≤ 3 MB, better 1.5",
              measured=f"{size / 1e6:.2f} MB")  # fmt: skip


def throughput(run: Run) -> Iterator[Row]:
    """Films an hour from the first report to the last: one film a study, all sent at once."""
    for version in VERSIONS:
        for count, threads in _WORKERS:
            yield Row(
                name=f"films an hour, version {version}, {count} x {threads} threads, one film "
                "a study, everything included",
                target="≥ 2500" if version == "lite" else None,
                measured=f"{_films_an_hour(run, version, count, threads):.0f}",
            )


def _films_an_hour(run: Run, version: Version, count: int, threads: int) -> float:
    with _node(run, version, count=count, threads=threads) as (node, pacs):
        sources = [_source(seed) for seed in range(_CROWD)]
        sender = Sender(node.port, "DICOM_NODE", [Film(sources[0]).sop_class])
        for source in sources:
            sender.store(sender.laid_out(Film(source)))
        sender.release()
        node.wait_until(partial(_all_reported, pacs), seconds=600)
    seconds = max(pacs.reported.values()) - min(pacs.reported.values())
    return 3600 * (_CROWD - 1) / seconds


def _films(run: Run, version: Version) -> list[_Passed]:
    with _node(run, version) as (node, pacs):
        return [_pass(node, pacs, seed) for seed in range(_FILMS + 1)][1:]


@contextmanager
def _node(
    run: Run, version: Version, *, count: int = 1, threads: int = 2
) -> Iterator[tuple[RunningNode, ReportClock]]:
    """A node that runs all stages of a version on every film, warm, and its PACS."""
    (folder := run.scratch / f"node-{version}-{count}").mkdir()
    pacs = ReportClock(run.scratch / f"pacs-{version}-{count}")
    with (
        pacs,
        running_node(
            folder,
            [destination(pacs.port)],
            study={"quiet_seconds": _QUIET_SECONDS},
            models={"dir": str(models_dir(version))},
            workers={"count": count, "threads": threads},
        ) as node,
    ):
        node.wait_until(lambda: node.log().count("networks warm") == count, seconds=180)
        yield node, pacs


def _source(seed: int) -> Dataset:
    return film(picture(), kind="dx", PatientID=f"P{seed}")


def _pass(node: RunningNode, pacs: ReportClock, seed: int) -> _Passed:
    """Send one film to an idle node."""
    source = _source(seed)
    study = str(source.StudyInstanceUID)
    what = Film(source)
    sender = Sender(node.port, "DICOM_NODE", [what.sop_class])
    sender.store(sender.laid_out(what))
    sender.release()
    node.wait_until(lambda: study in pacs.reported, seconds=180)
    time.sleep(_REST_SECONDS)
    steps: dict[str, float] = {}
    for step in node.cli("show", study, "--json")["timeline"]:
        steps[step["name"]] = steps.get(step["name"], 0.0) + step["seconds"]
    steps["quiet"] -= _QUIET_SECONDS
    kept = [path for path in pacs.folder.glob("*/*.dcm") if path.parent.name == study]
    return _Passed(
        wait=pacs.reported[study] - sender.sent_at - _QUIET_SECONDS,
        steps=steps,
        size=sum(path.stat().st_size for path in kept),
    )


def _all_reported(pacs: ReportClock) -> bool:
    return len(pacs.reported) == _CROWD


def _median(passed: list[_Passed]) -> float:
    return statistics.median(each.wait for each in passed)


def _steps(passed: list[_Passed]) -> str:
    """The median of each step, in milliseconds."""
    spent = {
        name: statistics.median(each.steps.get(name, 0.0) for each in passed)
        for name in passed[0].steps
    }
    return ", ".join(f"{name} {1000 * seconds:.0f}" for name, seconds in spent.items()) + " ms"
