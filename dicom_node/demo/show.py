"""`dicom-node demo`: a node, a little PACS and public radiographs on loopback; then what happened."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from PIL import Image as PILImage
from pydicom import dcmread
from rich.console import Console
from rich.table import Table

from dicom_node.config import Destination
from dicom_node.deliver.scu import StoreSender
from dicom_node.demo.pacs import LittlePacs
from dicom_node.errors import NodeError
from dicom_node.roles import utc_now
from dicom_node.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dicom_node.store import Store

# From the PyPI package pydicom-data: DICOM WG04's compression samples, real and public.
FILMS = {
    "RG1_UNCR.dcm": "adult chest PA, CR, uncompressed",
    "RG1_J2KR.dcm": "adult chest PA, CR, JPEG 2000 lossless",
    "RG3_UNCR.dcm": "an extremity, CR, uncompressed",
}
_AE_TITLE = "DICOM_NODE"
_PATIENCE_SECONDS = 180.0
_POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class _Demo:
    """Where everything of one demonstration lies."""

    out: Path
    node_port: int
    pacs_port: int

    @property
    def data_dir(self) -> Path:
        return self.out / "node"

    @property
    def config(self) -> Path:
        return self.out / "config.yaml"

    @property
    def node(self) -> Destination:
        return Destination(name="node", ae_title=_AE_TITLE, host="127.0.0.1", port=self.node_port)

    def write_config(self) -> None:
        """Write the node's configuration, so that the commands can look at it afterwards."""
        values = {
            "node": {
                "ae_title": _AE_TITLE,
                "host": "127.0.0.1",
                "port": self.node_port,
                "data_dir": str(self.data_dir),
            },
            "destinations": [
                {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": self.pacs_port}
            ],
            "log": {"level": "info"},
        }
        self.config.write_text(yaml.safe_dump(values, sort_keys=False))


def run_demo(out: Path) -> int:
    """Run the main job once and leave its results below ``out``; the exit status.

    Raises
    ------
    NodeError
        The public radiographs are not installed, or the node does not come up.
    """
    films = {name: _public_film(name) for name in FILMS}
    console = Console()
    console.print("[bold]Research software, not a medical device: NOT FOR DIAGNOSTIC USE.[/bold]")
    _clear(out)
    with LittlePacs(out / "returned") as pacs:
        demo = _Demo(out, _free_port(), pacs.port)
        demo.write_config()
        with _running_node(demo), console.status("starting the node") as status:
            sender = StoreSender("MODALITY", [demo.node], timeout_seconds=30.0)
            _wait(lambda: sender.echo("node").ok, "the node does not answer C-ECHO")
            status.update(f"sending {len(films)} films and waiting for the results")
            answers = sender.send("node", list(films.values()))
            store = open_store(demo.data_dir, utc_now)
            _wait(lambda: _is_settled(store, len(films)), "the results did not arrive")
        summary = _summary(store, films, [status for status, _ in answers], pacs)
        store.close()
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    _write_overlays(pacs, out / "overlays")
    _print(console, summary, out)
    return 0 if _is_as_expected(summary) else 1


def _public_film(name: str) -> Path:
    from pydicom.data import get_testdata_file

    try:
        found = get_testdata_file(name, download=False)
    except ValueError:
        found = None
    if found is None:
        raise NodeError(f"{name} is missing: pip install 'dicom-node[demo]' brings pydicom-data")
    return Path(str(found))


def _clear(out: Path) -> None:
    """Remove what an earlier demonstration left, and nothing else."""
    out.mkdir(parents=True, exist_ok=True)
    for folder in ("node", "returned", "overlays"):
        shutil.rmtree(out / folder, ignore_errors=True)
    for file in ("config.yaml", "summary.json", "node.log"):
        (out / file).unlink(missing_ok=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _running_node(demo: _Demo) -> Iterator[None]:
    command = [sys.executable, "-m", "dicom_node", "run", "--config", str(demo.config)]
    with (demo.out / "node.log").open("wb") as log:
        node = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603
        try:
            yield
        finally:
            node.terminate()
            node.wait(_PATIENCE_SECONDS)


def _wait(true: Any, otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise NodeError(f"{otherwise} within {_PATIENCE_SECONDS:.0f} s; see node.log")
        time.sleep(_POLL_SECONDS)
