"""`init` writes files with which a node starts, and says what to do next."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dicom_node.cli.app import app
from dicom_node.config import DicomDestination, load
from dicom_node.errors import NodeError


def _init(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["init", str(folder), *words])


def test_the_configuration_is_commented_and_valid(tmp_path: Path) -> None:
    """With the data folder beside it and the PACS that was named."""
    done = _init(tmp_path / "site", "--pacs", "ARCHIVE@pacs.hospital:11112", "--json")
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    config = load(Path(made["config"]), {})
    assert config.node.data_dir == tmp_path / "site" / "data"
    [pacs] = config.destinations
    assert isinstance(pacs, DicomDestination)
    assert (pacs.ae_title, pacs.host, pacs.port) == ("ARCHIVE", "pacs.hospital", 11112)
    assert Path(made["config"]).read_text().count("#") > 100
    assert any("config check" in step for step in made["next"])


def test_the_unit_starts_this_installation(tmp_path: Path) -> None:
    """Its command exists; the rest is the hardened unit of the project."""
    _init(tmp_path)
    unit = (tmp_path / "dicom-node.service").read_text()
    [command] = re.findall(r"^ExecStart=(.+)$", unit, re.M)
    program, rest = command.split(" ", 1)
    assert Path(program).is_file()
    assert rest == "run --config /etc/dicom-node/config.yaml"
    assert "NoNewPrivileges=yes" in unit


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """Every key, value and group of system calls is known, to older versions, too."""
    _init(tmp_path)
    unit = tmp_path / "dicom-node.service"
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Type=notify" in unit.read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A second `init` is an error and leaves the first one's file."""
    _init(tmp_path)
    (tmp_path / "config.yaml").write_text("edited")
    assert isinstance(_init(tmp_path).exception, NodeError)
    assert (tmp_path / "config.yaml").read_text() == "edited"


@pytest.mark.parametrize("pacs", ["ARCHIVE", "ARCHIVE@host", "A@h:many", "@:1"])
def test_a_mistyped_pacs_leaves_no_file(tmp_path: Path, pacs: str) -> None:
    """The message says how to write it."""
    done = _init(tmp_path / "site", "--pacs", pacs)
    assert "AE_TITLE@HOST:PORT" in str(done.exception)
    assert list((tmp_path / "site").iterdir()) == []
