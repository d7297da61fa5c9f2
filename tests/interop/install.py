"""Install the programs: Debian packages, and packages of npm and PyPI that are kept in a cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CACHE = Path(os.environ.get("INTEROP_CACHE", Path.home() / ".cache" / "dicom-node-interop"))
NPM = CACHE / "npm"
OHIF = NPM / "ohif" / "package" / "dist"
HL7APY = CACHE / "hl7apy"
CHROMIUM = Path("/usr/bin/chromium")
PIXELMED = Path("/usr/share/java/pixelmed.jar")
ORTHANC = Path("/usr/sbin/Orthanc")
PLUGINS = Path("/usr/share/orthanc/plugins")

_OHIF_VERSION = "3.13.2"
_PLAYWRIGHT_VERSION = "1.65.1"
_HL7APY_VERSION = "1.3.5"
_PATIENCE_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: commands or files that prove it is installed, and the packages that contain it."""

    name: str
    proofs: tuple[str, ...]
    packages: tuple[str, ...]


TOOLS = (
    Tool(
        "orthanc",
        (str(ORTHANC), str(PLUGINS / "libOrthancGdcm.so"), str(PLUGINS / "libOrthancDicomWeb.so")),
        ("orthanc", "orthanc-gdcm", "orthanc-dicomweb"),
    ),
    Tool("dcmtk", ("storescu", "storescp", "echoscu", "dsr2html", "dcmpschk"), ("dcmtk",)),
    Tool("dicom3tools", ("dciodvfy", "dcentvfy"), ("dicom3tools",)),
    Tool("gdcm", ("gdcminfo",), ("libgdcm-tools",)),
    Tool("pixelmed", (str(PIXELMED), "java"), ("pixelmed-apps", "default-jre-headless")),
    Tool("prometheus", ("prometheus", "promtool"), ("prometheus",)),
    Tool("haproxy", ("/usr/sbin/haproxy",), ("haproxy",)),
    Tool("postgresql", ("pg_ctlcluster",), ("postgresql",)),
    Tool("chromium", (str(CHROMIUM),), ("chromium", "fonts-dejavu-core")),
)


def ready() -> dict[str, str]:
    """Install what is missing.

    Returns
    -------
    dict
        Tool -> why it is missing; empty if all are installed.
    """
    missing = {tool.name: why for tool in TOOLS if (why := _debian(tool))}
    for name, install in (("ohif", _ohif), ("playwright", _playwright), ("hl7apy", _hl7apy)):
        if why := install():
            missing[name] = why
    return missing


def _debian(tool: Tool) -> str | None:
    if not (lacking := _lacking(tool.proofs)):
        return None
    if os.geteuid() != 0:
        return f"{', '.join(lacking)} not found; only root can install {' '.join(tool.packages)}"
    said = _update() or _run("apt-get", "install", "-y", "--no-install-recommends", *tool.packages)
    if lacking := _lacking(tool.proofs):
        return f"{', '.join(lacking)} not found after apt-get install: {said or 'it succeeded'}"
    return None


def _lacking(proofs: Iterable[str]) -> list[str]:
    return [proof for proof in proofs if shutil.which(proof) is None and not Path(proof).is_file()]


@cache
def _update() -> str | None:
    return _run("apt-get", "update", "-q")


def _ohif() -> str | None:
    """Install the viewer as its authors built it: the package has a ``dist`` folder."""
    if (OHIF / "index.html").is_file():
        return None
    NPM.mkdir(parents=True, exist_ok=True)
    if said := _run("npm", "pack", f"@ohif/app@{_OHIF_VERSION}", "--pack-destination", str(NPM)):
        return said
    with tarfile.open(NPM / f"ohif-app-{_OHIF_VERSION}.tgz") as archive:
        archive.extractall(NPM / "ohif", filter="data")
    return None if (OHIF / "index.html").is_file() else "the npm package has no dist/index.html"


def _playwright() -> str | None:
    if shutil.which("node") is None:
        return "node not found; install Node.js 20 or newer, with npm"
    if (NPM / "node_modules" / "playwright-core").is_dir():
        return None
    NPM.mkdir(parents=True, exist_ok=True)
    package = f"playwright-core@{_PLAYWRIGHT_VERSION}"
    return _run("npm", "install", "--no-save", "--no-audit", "--prefix", str(NPM), package)


def _hl7apy() -> str | None:
    """Install it beside the environment, whose packages it shares nothing with."""
    if (HL7APY / "hl7apy").is_dir():
        return None
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(HL7APY))
    return _run(*pip, f"hl7apy=={_HL7APY_VERSION}")


def _run(*command: str) -> str | None:
    """Run an installer; return the end of its output if it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    said = (done.stderr or done.stdout).strip()[-300:]
    return f"{' '.join(command[:3])}: {said}" if done.returncode else None
