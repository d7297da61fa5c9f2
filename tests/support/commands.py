"""The command line over a folder, in process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from dicom_node.cli.app import app


@dataclass
class Commands:
    """Runs commands with the folder's ``config.yaml``."""

    folder: Path

    def run(self, *words: str, answer: str = "") -> Result:
        """Run a command; ``answer`` is what its question gets."""
        command = [*words, "--config", str(self.folder / "config.yaml")]
        return CliRunner().invoke(app, command, input=answer)

    def json(self, *words: str) -> Any:
        """What a command prints as JSON; it must succeed."""
        done = self.run(*words, "--json")
        assert done.exit_code == 0, done.exception
        return json.loads(done.stdout)
