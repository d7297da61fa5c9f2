"""A process of the node does not outlive its supervisor, however early that one died."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_process_whose_supervisor_is_gone_before_it_starts_ends_by_itself(
    tmp_path: Path,
) -> None:
    """A supervisor killed while its child still imports leaves no child behind."""
    config = tmp_path / "config.yaml"
    config.write_text(f"node: {{data_dir: {tmp_path / 'data'}, host: 127.0.0.1}}")
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    command = [sys.executable, "-m", "dicom_node", "role", "deliverer", "--owner", "deliverer-1"]
    child = subprocess.run(
        [*command, "--supervisor", gone.stdout.strip(), "--config", config],
        timeout=60, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert child.returncode == 0
    assert "supervisor exited" in child.stderr
