"""A limit on the memory that a worker may take for its films, beside that of its networks."""

from __future__ import annotations

import resource
from pathlib import Path

from dicom_node.service.machine import MIB, bytes_in

_STATUS = Path("/proc/self/status")


def limit_growth(mebibytes: int) -> bool:
    """Limit this process to the memory it has now and as many MiB more; False if that fails.

    An allocation beyond the limit raises MemoryError, or ends the process if native code asked for
    it, before the machine runs out of memory and the kernel ends another process.
    """
    now = bytes_in(_STATUS, "VmData")
    if now is None:
        return False
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = now + mebibytes * MIB
    resource.setrlimit(
        resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )
    return True
