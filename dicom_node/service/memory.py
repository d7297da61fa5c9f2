"""A limit on the memory that a worker may take for its films, beside that of its networks."""

from __future__ import annotations

import re
import resource
from pathlib import Path

MIB = 2**20
_STATUS = Path("/proc/self/status")


def limit_growth(mebibytes: int) -> bool:
    """Limit this process to the memory it has now and as many MiB more; False if that fails.

    An allocation beyond the limit raises MemoryError, or ends the process if native code asked for
    it, before the machine runs out of memory and the kernel ends another process.
    """
    try:
        found = re.search(r"^VmData:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    except OSError:  # not Linux
        return False
    if found is None:
        return False
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = int(found[1]) * 1024 + mebibytes * MIB
    resource.setrlimit(
        resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )
    return True
