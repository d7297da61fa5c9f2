"""Files that outlast a power cut, and their comparison."""

from __future__ import annotations

import filecmp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def same_bytes(path: Path, target: Path) -> bool:
    """Whether ``target`` is a file with the bytes of ``path``."""
    return target.is_file() and filecmp.cmp(path, target, shallow=False)
