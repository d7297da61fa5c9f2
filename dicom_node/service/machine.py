"""What the machine has: memory, and a clock that a time server keeps."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

MIB = 2**20
_MEMINFO = Path("/proc/meminfo")
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container or a systemd unit
_TIMEX_BYTES = 512  # more than sizeof(struct timex)
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized


def memory_needed(workers: int) -> int:
    """Bytes that a node with so many workers needs, as docs/DEPLOYMENT.md has them."""
    return (512 + 1536 * workers) * MIB


def bytes_in(path: Path, key: str) -> int | None:
    """Bytes by the line ``KEY: N kB`` of a file in /proc; None if there is no such line or file."""
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB", path.read_text(), re.MULTILINE)
    except OSError:  # not Linux
        return None
    return None if found is None else int(found[1]) * 1024


def memory_total() -> int | None:
    """Bytes of memory that this machine, or this container, may use; None if not known."""
    total = bytes_in(_MEMINFO, "MemTotal")
    if total is None:
        return None
    try:
        limit = _GROUP_LIMIT.read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total


def clock_is_kept() -> bool | None:
    """Whether the kernel says that a time server keeps the clock; None if it does not say.

    Modes 0 of adjtimex(2) only ask.
    """
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):  # not Linux
        return None
    return None if state < 0 else state != _TIME_ERROR
