"""The crash tests' processes obey orders to die; the node as it is installed has no such code."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from crash.orders import POINTS
from crash.stand_in.obedience import VARIABLE

_ROOT = Path(__file__).parents[2]
_STAND_IN = _ROOT / "tests" / "crash" / "stand_in"
_ROOTS = [str(_ROOT / "tests"), str(_ROOT)]
_THREE_PASSES = """
import sys
from dicom_node.fail_points import fail_point
for number in range(3):
    fail_point("somewhere")
    print(number, flush=True)
"""


def passing(orders: Path, who: str = "worker", *, installed: bool = False) -> tuple[int, list[str]]:
    """The exit code of a process that passes a point three times, and how far it came."""
    path = os.pathsep.join(_ROOTS if installed else [str(_STAND_IN), *_ROOTS])
    done = subprocess.run(
        [sys.executable, "-c", _THREE_PASSES, who],
        env={**os.environ, VARIABLE: str(orders), "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.split()


def test_the_installed_node_obeys_no_order(tmp_path: Path) -> None:
    """The package has the names of the places only; no variable and no file changes that."""
    (tmp_path / "somewhere").write_text("kill 1")
    assert passing(tmp_path, installed=True) == (0, ["0", "1", "2"])
    [function] = ast.parse((_ROOT / "dicom_node" / "fail_points.py").read_text()).body[2:]
    assert isinstance(function, ast.FunctionDef)
    assert len(function.body) == 1, "a docstring"


def test_a_process_dies_at_the_pass_that_is_ordered(tmp_path: Path) -> None:
    """The order is gone afterwards."""
    (tmp_path / "somewhere").write_text("kill 2 worker")
    assert passing(tmp_path) == (-signal.SIGKILL, ["0"])
    assert passing(tmp_path) == (0, ["0", "1", "2"])
    assert (tmp_path / "somewhere.hit").exists()


def test_an_order_for_another_process_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "somewhere").write_text("kill 1 receiver")
    assert passing(tmp_path) == (0, ["0", "1", "2"])
    assert passing(tmp_path, "receiver") == (-signal.SIGKILL, [])


def test_the_crash_matrix_kills_at_every_point_there_is() -> None:
    """A named place at which no process ever dies would look safe."""
    named = {
        name
        for path in (_ROOT / "dicom_node").rglob("*.py")
        for name in re.findall(r'\bfail_point\("([^"]+)"\)', path.read_text())
    }
    assert named == {point for points in POINTS.values() for point in points}
