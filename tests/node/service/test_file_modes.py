"""Other users can neither read nor change the node's files, or `doctor files` says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support.film import film, write
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.config import Config, load
from dicom_node.service.file_modes import faults, make_private


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A private data folder with a film, a key and a configuration."""
    tmp_path.chmod(0o700)
    data = tmp_path / "data"
    (data / "spool").mkdir(parents=True)
    for path in (data / "node.db", data / "node.secret", tmp_path / "key.pem"):
        path.write_bytes(b"")
        path.chmod(0o600)
    write(film(), data / "spool" / "1.dcm").chmod(0o600)
    (data / "spool").chmod(0o700)
    data.chmod(0o700)
    values = {
        "node": {"data_dir": str(data)},
        "tls": {"certificate_file": str(tmp_path / "c.pem"), "key_file": str(tmp_path / "key.pem")},
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    path.chmod(0o644)
    return path


def found(config: Path) -> list[str]:
    return faults(load(config, {}), config)


def test_private_files_have_no_fault(config: Path) -> None:
    """A configuration may be read by all: it holds no secret."""
    assert found(config) == []


@pytest.mark.parametrize(
    ("name", "mode", "says"),
    [
        ("data", 0o750, "the data folder is open to other users: 0750"),
        ("data/node.db", 0o644, "node.db is open to other users: 0644"),
        ("data/node.secret", 0o640, "node.secret is open to other users: 0640"),
        ("data/spool/1.dcm", 0o604, "spool is open to other users: 0604"),
        ("key.pem", 0o640, "tls.key_file: {key} may be read by other users: 0640"),
        ("key.pem", 0o620, "tls.key_file: {key} may be changed by other users: 0620"),
        ("config.yaml", 0o664, "configuration: {config} may be changed by other users: 0664"),
    ],
)
def test_an_open_file_is_named(config: Path, name: str, mode: int, says: str) -> None:
    """One sentence for one fault, and exit status 1."""
    (config.parent / name).chmod(mode)
    expected = says.format(key=config.parent / "key.pem", config=config)
    assert found(config) == [expected]
    done = CliRunner().invoke(app, ["doctor", "files", "--config", str(config)])
    assert done.exit_code == 1
    assert expected in done.output


def test_a_link_and_an_open_folder_around_a_key_are_named(config: Path) -> None:
    """Who may change the folder can put another key there."""
    (config.parent / "data" / "node.db").unlink()
    (config.parent / "data" / "node.db").symlink_to(config)
    config.parent.chmod(0o777)
    assert found(config) == [
        "node.db is a symbolic link",
        f"tls.key_file: {config.parent / 'key.pem'} lies in a folder that other users may change",
        f"configuration: {config} lies in a folder that other users may change",
    ]


def test_many_open_films_are_one_sentence(config: Path) -> None:
    """Their number is said."""
    for number in range(3):
        path = config.parent / "data" / "spool" / f"{number}.dcm"
        path.write_bytes(b"")
        path.chmod(0o644)
    assert found(config) == ["spool is open to other users: 0644 (3 files and folders)"]


def test_the_folder_of_an_older_version_is_closed_at_start(config: Path) -> None:
    """The folder and what lies directly in it; links are left alone."""
    data = config.parent / "data"
    (data / "link").symlink_to(config)
    for path in (data, data / "spool", data / "node.db"):
        path.chmod(0o755)
    make_private(data)
    assert [path.stat().st_mode & 0o777 for path in (data, data / "spool", data / "node.db")] == [
        0o700,
        0o700,
        0o700,
    ]
    assert config.stat().st_mode & 0o777 == 0o644


def test_without_a_data_folder_there_is_one_fault(tmp_path: Path) -> None:
    """Before the first start."""
    settings = Config.model_validate({"node": {"data_dir": str(tmp_path / "none")}})
    assert faults(settings, None) == [f"{tmp_path / 'none'}: there is no such folder"]
