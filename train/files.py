"""Files of a run: written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file to write beside ``path``; it takes the place of ``path`` when the block ends.

    Its bytes are on disk by then. If the block raises or the process is killed, ``path`` is as it
    was before. Two processes may write the same ``path``; the last one's file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def kept_array(path: Path, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Read an array from ``path``, an ``.npy`` file, or make it and write it there, whole."""
    if not path.exists():
        with replacing(path) as part:
            np.save(part, make())
    loaded: NDArray[Any] = np.load(path)
    return loaded
