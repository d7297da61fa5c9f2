"""Version, changelog, lock files and what the security page says of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import dicom_node

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~! ;]", requirement)[0].lower().replace("_", "-")


def _locked(file: str) -> dict[str, list[str]]:
    """Package -> the hashes that are pinned for it."""
    text = (ROOT / "requirements" / file).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if re.match(r"^[a-z0-9]", line)]
    return {_name(line): re.findall(r"--hash=sha256:[0-9a-f]{64}", line) for line in lines}


def test_one_place_holds_the_version() -> None:
    """The wheel takes its version from the package, and the changelog has a section for it."""
    assert PROJECT["dynamic"] == ["version"]
    versions = re.findall(r"^## \[([\d.]+)\] - ", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert versions[0] == dicom_node.__version__
    assert versions == sorted(versions, key=lambda v: [int(n) for n in v.split(".")], reverse=True)


def test_every_dependency_is_locked_with_hashes() -> None:
    """The container and a development set-up install known files only."""
    torch = _locked("torch.txt")
    for file, extras in (("node.txt", ()), ("dev.txt", ("train", "dev"))):
        locked = _locked(file) | torch
        wanted = [*PROJECT["dependencies"]]
        for extra in extras:
            wanted += PROJECT["optional-dependencies"][extra]
        assert {_name(each) for each in wanted} - {"dicom-node"} <= locked.keys(), file
        assert all(locked.values()), file
        assert not [name for name in locked if name.startswith("nvidia-")], file


def test_the_image_installs_what_is_locked() -> None:
    """Each installation of packages in the image asks for hashes, and torch has its own index."""
    text = (ROOT / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install ([^&\n]+)", text)
    assert installs
    for install in installs:
        assert "--no-deps" in install
        assert "--require-hashes" in install or install.strip().endswith("/wheels/*.whl")
    assert "extra-index-url" not in text


def test_packages_with_compiled_libraries_are_named() -> None:
    """The security page lists decoders and other native code that is really installed."""
    page = (ROOT / "docs" / "SECURITY.md").read_text()
    listed = page.split("<!-- bundled: begin -->")[1].split("<!-- bundled: end -->")[0]
    named = {
        name for row in re.findall(r"^\| (`.+?) \|", listed, re.M)
        for name in re.findall(r"`([\w-]+)`", row)
    }  # fmt: skip
    assert named <= (_locked("node.txt") | _locked("torch.txt")).keys()
    decoders = {"python-gdcm", "pyjpegls", "pylibjpeg-openjpeg", "pylibjpeg-rle"}
    assert decoders <= named


def test_the_citation_is_well_formed() -> None:
    """CITATION.cff has what version 1.2.0 of the format requires."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["title"] == PROJECT["name"]
    assert citation["authors"]
    assert citation["message"]
    assert citation["license"] in PROJECT["license"]
