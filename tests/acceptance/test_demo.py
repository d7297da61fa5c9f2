"""What `make demo` shows a stranger."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.running import COMMAND

from models import registry


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("options", "models"),
    [((), registry.DEFAULT), (("--models", registry.SHIPPED["paper"]), registry.SHIPPED["paper"])],
    ids=["default", "paper"],
)
def test_the_demo_reads_two_films_and_draws_what_came_back(
    options: Sequence[str | Path], models: Path, tmp_path: Path
) -> None:
    """Exit status 0; each picture as a PNG; the extremity refused; the warning said."""
    out = tmp_path / "demo"
    done = subprocess.run(
        [COMMAND, "demo", "--out", out, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "not a medical device" in done.stdout
    summary = json.loads((out / "summary.json").read_text())
    read_by = {film["reading"]["model"]["version"] for film in summary["films"] if film["reading"]}
    assert read_by == {registry.identity(models).version}
    assert [film["refusal"] is None for film in summary["films"]] == [True, True, False]
    overlays = [path for path in summary["overlays"] if Path(path).stat().st_size > 10_000]
    assert len(overlays) == len(summary["overlays"]) >= 2
