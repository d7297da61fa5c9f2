"""Which processes run: a small file that the supervisor writes and `dicom-node status` reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from dicom_node.dicom.files import durable_write

_FILE = "processes.json"


def publish(data_dir: Path, alive: Mapping[str, int]) -> None:
    """Write the process ids by name; an empty mapping means that none runs."""
    durable_write(data_dir / _FILE, lambda file: file.write(json.dumps(alive).encode()))


def processes(data_dir: Path) -> dict[str, int]:
    """Process ids by name of the node that runs over this folder; empty if none runs."""
    try:
        named: dict[str, int] = json.loads((data_dir / _FILE).read_text())
    except (OSError, ValueError):
        return {}
    return {name: pid for name, pid in named.items() if _alive(pid)}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
