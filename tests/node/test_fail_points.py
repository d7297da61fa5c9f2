"""Orders to die are obeyed once, by who they are for; without the variable there are none."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from crash.orders import POINTS

_ROOT = Path(__file__).parents[2]
_COME_BY = """
import sys
from dicom_node.fail_points import fail_point
for number in range(3):
    fail_point("somewhere")
    print(number, flush=True)
"""


def passing(orders: Path | None, who: str = "worker") -> tuple[int, list[str]]:
    """The exit code of a process that comes by three times, and how far it came."""
    named = {} if orders is None else {"DICOM_NODE_FAIL_POINTS": str(orders)}
    done = subprocess.run(
        [sys.executable, "-c", _COME_BY, who],
        env={**os.environ, **named}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.split()


def test_without_the_variable_nothing_happens(tmp_path: Path) -> None:
    """Even where an order lies about."""
    (tmp_path / "somewhere").write_text("kill 1")
    assert passing(None) == (0, ["0", "1", "2"])


def test_a_process_dies_at_the_pass_it_was_told(tmp_path: Path) -> None:
    """And the order is not there for who comes after it."""
    (tmp_path / "somewhere").write_text("kill 2 worker")
    assert passing(tmp_path) == (-signal.SIGKILL, ["0"])
    assert passing(tmp_path) == (0, ["0", "1", "2"])
    assert (tmp_path / "somewhere.hit").exists()


def test_an_order_for_somebody_else_is_left_to_him(tmp_path: Path) -> None:
    (tmp_path / "somewhere").write_text("kill 1 receiver")
    assert passing(tmp_path) == (0, ["0", "1", "2"])
    assert passing(tmp_path, "receiver") == (-signal.SIGKILL, [])


def test_the_crash_matrix_kills_at_every_point_there_is() -> None:
    """A seam that is named in the code, and at which nothing ever dies, would be believed safe."""
    named = {
        name
        for path in (_ROOT / "dicom_node").rglob("*.py")
        for name in re.findall(r'\bfail_point\("([^"]+)"\)', path.read_text())
    }
    assert named == {point for points in POINTS.values() for point in points}
