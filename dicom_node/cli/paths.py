"""Files named on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Every file named, and every file below every folder named, in order.

    Raises
    ------
    NodeError
        A path does not exist.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise NodeError(f"no such file or folder: {path}")
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return files
