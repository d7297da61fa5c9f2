"""Size of modules, films in git, contents of the wheel."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from crash.stand_in.obedience import VARIABLE

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for package in ("dicom_node", "models", "train") for path in (ROOT / package).rglob("*.py")
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_is_longer_than_300_lines(path: Path) -> None:
    """A module above 300 lines does more than one thing."""
    assert len(path.read_text().splitlines()) <= 300


def test_no_film_is_tracked_outside_the_tests() -> None:
    """No image of a patient is committed."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    films = [f for f in tracked.stdout.splitlines() if f.endswith((".dcm", ".dicom", ".jpg"))]
    assert [f for f in films if not f.startswith("tests/")] == []


def test_no_package_of_the_wheel_has_code_of_the_tests() -> None:
    """Neither the crash tests' obedience to orders nor another helper can be installed with it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    include = project["tool"]["setuptools"]["packages"]["find"]["include"]
    packaged = [path for pattern in include for path in ROOT.glob(f"{pattern}/**/*.py")]
    assert {path.relative_to(ROOT).parts[0] for path in packaged} == {"dicom_node", "models"}
    for path in packaged:
        text = path.read_text()
        assert VARIABLE not in text, path
        assert "SIGSTOP" not in text, path


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
    assert sum(name.startswith("models/paper/cards/") for name in names) == 4
    migrations = {path.name for path in (ROOT / "dicom_node/store/alembic/versions").glob("*.py")}
    assert migrations == {Path(name).name for name in names if "/alembic/versions/" in name}
