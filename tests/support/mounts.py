"""One folder through several mounts, each with a cache of its own, as machines see a shared one.

The mounts are Debian's bindfs (FUSE). The kernel of a test machine often has no NFS client.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINDFS = shutil.which("bindfs")
#: Without it, a lock that is taken through one mount is not seen through another.
_SHARED_LOCKS = ("--multithreaded", "--enable-lock-forwarding")


@contextmanager
def mounted(folder: Path, at: Path, options: tuple[str, ...] = _SHARED_LOCKS) -> Iterator[Path]:
    """Mount ``folder`` at an empty folder; raises OSError if this machine does not allow it."""
    if BINDFS is None:
        raise OSError("bindfs is not installed")
    at.mkdir(parents=True)
    done = subprocess.run(
        [BINDFS, *options, folder, at], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(f"bindfs cannot mount here: {done.stderr.strip()[:200]}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)
