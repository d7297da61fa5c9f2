"""Resources of the node over time, and whether they grow."""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from scipy.stats import theilslopes

from dicom_node.service.pidfile import processes

MEASURES = ("memory", "descriptors", "threads")

# Allowed growth of a process after its warm-up. Memory: this or its share, whichever is more.
TOLERANCE = {"memory": 16.0, "descriptors": 4.0, "threads": 2.0}  # MB; number
_MEMORY_SHARE = 0.05

# The first part of a process's life is warm-up: caches and pools fill.
_WARM_UP_SHARE, _LEAST_WARM_UP, _LONGEST_WARM_UP = 0.25, 300.0, 600.0  # seconds
_FEWEST_SAMPLES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One process at one time."""

    at: float  # seconds since the soak began
    name: str
    pid: int
    memory: float  # MB resident
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The data folder at one time; MB."""

    at: float
    database: float
    log: float  # write-ahead
    spool: float
    results: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One measure over the longest life of one process, without its warm-up."""

    name: str
    measure: str
    minutes: float  # evaluated
    first: float  # median of the first quarter
    last: float  # median of the last quarter
    gained: float  # Theil-Sen slope times the minutes
    tolerance: float

    @property
    def grows(self) -> bool:
        """Whether both measures exceed the tolerance."""
        return min(self.gained, self.last - self.first) > self.tolerance


def sample(data_dir: Path, began: float) -> list[Sample]:
    """Every process of the node, now."""
    found = []
    for name, pid in processes(data_dir).items():
        folder = Path("/proc", str(pid))
        with suppress(OSError, StopIteration):
            lines = (folder / "status").read_text().splitlines()
            resident = next(line for line in lines if line.startswith("VmRSS")).split()[1]
            found.append(
                Sample(
                    at=time.monotonic() - began,
                    name=name,
                    pid=pid,
                    memory=int(resident) / 1024,
                    descriptors=len(list((folder / "fd").iterdir())),
                    threads=len(list((folder / "task").iterdir())),
                )
            )
    return found


def disk(data_dir: Path, began: float) -> Disk:
    """The data folder, now."""
    return Disk(
        at=time.monotonic() - began,
        database=_size([data_dir / "node.db"]),
        log=_size([data_dir / "node.db-wal"]),
        spool=_size((data_dir / "spool").rglob("*")),
        results=_size((data_dir / "results").rglob("*")),
    )


def append(path: Path, samples: Iterable[Sample]) -> None:
    """Write samples below those that are in the file."""
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        rows = csv.writer(file)
        if fresh:
            rows.writerow(each.name for each in fields(Sample))
        rows.writerows(map(astuple, samples))


def trends(samples: Iterable[Sample]) -> list[Trend]:
    """Each measure of each process that lived long enough."""
    lives: defaultdict[tuple[str, int], list[Sample]] = defaultdict(list)
    for each in samples:
        lives[each.name, each.pid].append(each)
    longest: dict[str, list[Sample]] = {}
    for (name, _), life in lives.items():
        longest[name] = max(longest.get(name, []), life, key=len)
    return [
        trend
        for life in longest.values()
        if len(warm := _warm(life)) >= _FEWEST_SAMPLES
        for trend in (_trend(warm, measure) for measure in MEASURES)
    ]


def _warm(life: Sequence[Sample]) -> list[Sample]:
    length = life[-1].at - life[0].at
    warm_up = min(max(length * _WARM_UP_SHARE, _LEAST_WARM_UP), _LONGEST_WARM_UP)
    since = life[0].at + warm_up
    return [each for each in life if each.at >= since]


def _trend(life: Sequence[Sample], measure: str) -> Trend:
    values = [float(getattr(each, measure)) for each in life]
    times = [each.at for each in life]
    quarter = len(values) // 4
    first, last = _median(values[:quarter]), _median(values[-quarter:])
    share = _MEMORY_SHARE * first if measure == "memory" else 0.0
    return Trend(
        name=life[0].name,
        measure=measure,
        minutes=(times[-1] - times[0]) / 60,
        first=first,
        last=last,
        gained=float(theilslopes(values, times).slope) * (times[-1] - times[0]),
        tolerance=max(TOLERANCE[measure], share),
    )


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _size(paths: Iterable[Path]) -> float:
    total = 0
    with suppress(OSError):
        for path in paths:
            with suppress(OSError):  # it ended meanwhile
                total += path.stat().st_size if path.is_file() else 0
    return total / 1e6
