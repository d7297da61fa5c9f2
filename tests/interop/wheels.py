"""The wheel as a person installs it: built offline, in a virtual environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path


def wheel(source: Path, folder: Path) -> None:
    """Build the wheel of a checkout, offline."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", source, "--no-deps", "--no-build-isolation",
         "--no-index", "--quiet", "-w", folder],
        check=True, capture_output=True,
    )  # fmt: skip


def environment(folder: Path) -> dict[str, str]:
    """A virtual environment that has what the wheel needs, and not the wheel.

    It borrows the packages of this one by links, so that nothing is downloaded.
    """
    venv.create(folder, symlinks=True)
    pip = folder / "bin" / "pip"
    pip.write_text('#!/bin/sh\nexec python -m pip "$@"\n')
    pip.chmod(0o755)
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not re.match(r"dicom_node|__editable__|.*\.pth$", entry.name):
            (borrowed / entry.name).symlink_to(entry)
    (own,) = folder.glob("lib/python3*/site-packages")
    (own / "borrowed.pth").write_text(f"{borrowed}\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PIP_NO_INDEX": "1"}
