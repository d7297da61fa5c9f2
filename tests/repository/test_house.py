"""The shape of the code base itself."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for package in ("dicom_node", "models", "train") for path in (ROOT / package).rglob("*.py")
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_is_longer_than_300_lines(path: Path) -> None:
    """A module above 300 lines has a second noun in it."""
    assert len(path.read_text().splitlines()) <= 300


def test_broad_excepts_stand_in_three_named_places_at_most() -> None:
    """Only the C-STORE handler and the job runner may catch whatever comes."""
    broad = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if path.is_relative_to(ROOT / "dicom_node")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"})
    }
    assert broad <= {"dicom_node/receive/storing.py", "dicom_node/work.py"}


def test_no_film_is_tracked_outside_the_tests() -> None:
    """No patient ever enters git."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    films = [f for f in tracked.stdout.splitlines() if f.endswith((".dcm", ".dicom", ".jpg"))]
    assert [f for f in films if not f.startswith("tests/")] == []


@pytest.mark.slow
def test_the_wheel_holds_the_two_packages_and_the_weights(tmp_path: Path) -> None:
    """The wheel's top level is dicom_node and models, weights and cards inside, no train."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"dicom_node", "models"}
    assert sum(name.endswith(".safetensors") for name in names) == 4
    assert sum(name.startswith("models/cards/") for name in names) == 4
    migrations = {path.name for path in (ROOT / "dicom_node/store/alembic/versions").glob("*.py")}
    assert migrations == {Path(name).name for name in names if "/alembic/versions/" in name}
