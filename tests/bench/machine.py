"""The machine: its description, times on it, and the memory of processes."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PAUSE_SECONDS = 0.2  # between repetitions, so that other processes get a turn
_BLOCK = 4096  # bytes; a page of the database
_SYNCS = 200
_FILM = 10 * 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Times:
    """The times of all repetitions, in seconds."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The least disturbed one: for computations."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The typical one: for work that waits for disks, sockets and other processes."""
        return statistics.median(self.seconds)


def times(action: Callable[[], object], repeat: int, *, warm: bool = True) -> Times:
    """Time the action ``repeat`` times, after one untimed call if ``warm``."""
    if warm:
        action()
    return Times(tuple(_once(action) for _ in range(repeat)))


def _once(action: Callable[[], object]) -> float:
    time.sleep(_PAUSE_SECONDS)
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def describe(folder: Path) -> str:
    """One line about the machine and the disk below ``folder``."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores of {_processor()}, {memory:.0f} GiB, {_filesystem(folder)}, "
        f"{platform.system()}, Python {platform.python_version()}, load {load:.1f}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _filesystem(folder: Path) -> str:
    """Type of the file system of a folder: on tmpfs, durable figures are meaningless."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown file system"
    over = [m for m in mounts if folder.resolve().is_relative_to(m[1])]
    return max(over, key=lambda mount: len(mount[1]))[2] if over else "unknown file system"


def peak_megabytes(pid: int) -> float:
    """Largest resident set of a process so far; 0 if the system does not report it."""
    return _memory(pid, "VmHWM")


def megabytes(pid: int) -> float:
    """Resident set of a process now; 0 if the system does not report it."""
    return _memory(pid, "VmRSS")


def _memory(pid: int, field: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0.0)


def syncs_per_second(folder: Path) -> float:
    """Durable page writes of the disk: allocated pages overwritten, fdatasync after each.

    No durable write is faster.
    """
    with _preallocated(folder, _SYNCS * _BLOCK) as handle:
        began = time.perf_counter()
        for number in range(_SYNCS):
            os.pwrite(handle, b"x" * _BLOCK, number * _BLOCK)
            os.fdatasync(handle)
        return _SYNCS / (time.perf_counter() - began)


def durable_megabytes_per_second(folder: Path, films: int = 4) -> float:
    """Rate at which the disk stores films of 10 MB durably, one after the other."""
    content = os.urandom(_FILM)
    began = time.perf_counter()
    for number in range(films):
        path = folder / f"disk-{number}.part"
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    spent = time.perf_counter() - began
    for number in range(films):
        (folder / f"disk-{number}.part").unlink()
    return films * _FILM / 1e6 / spent


@contextmanager
def _preallocated(folder: Path, size: int) -> Iterator[int]:
    path = folder / "disk.part"
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.pwrite(handle, bytes(size), 0)
        os.fsync(handle)
        yield handle
    finally:
        os.close(handle)
        path.unlink()
