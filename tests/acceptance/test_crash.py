"""The crash matrix in short: a few deaths at named points, and everything still comes once."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from crash.matrix import Matrix


@pytest.mark.timeout(420)
def test_six_deaths_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Children and the whole node die between two steps; `make crash` does it two hundred times."""
    progress: list[None] = []
    matrix = Matrix(tmp_path / "node", 4, lambda: progress.append(None), math.inf)
    verdict = matrix.run(6)
    assert verdict.good, verdict
    assert verdict.studies > 0
    assert matrix.kills.total() == len(progress) >= 6
    assert {process for process, _ in matrix.kills} & {"whole node", "supervisor"}
