"""`init`: write a commented configuration and a systemd unit, and say what to do next."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.render import JsonOption, print_json, print_line
from dicom_node.config import load
from dicom_node.errors import ConfigError, NodeError

# What the packaged files say, and `init` replaces.
_PACS = "{name: pacs, ae_title: PACS, host: 127.0.0.1, port: 4242}"
_DATA_DIR = "data_dir: data  "
_COMMAND = "/opt/dicom-node/bin/dicom-node"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(init)


def init(
    folder: Annotated[Path, typer.Argument(help="Folder for the two files.")] = Path(),
    pacs: Annotated[
        str | None, typer.Option(help="The PACS that gets the results: AE_TITLE@HOST:PORT.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write config.yaml and dicom-node.service, and say what to do next.

    A file that exists is never overwritten.
    """
    folder = folder.absolute()
    config, unit = folder / "config.yaml", folder / "dicom-node.service"
    if there := [path for path in (config, unit) if path.exists()]:
        raise NodeError(f"{there[0]} exists already and is left as it is")
    data_dir = folder / "data"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(_config(data_dir, pacs), encoding="utf-8")
        unit.write_text(_unit(), encoding="utf-8")
    except OSError as error:
        raise NodeError(f"{folder} cannot be written: {error.strerror}") from error
    try:
        load(config, {})
    except ConfigError as error:
        config.unlink()
        unit.unlink()
        raise NodeError(f"--pacs {pacs}: write AE_TITLE@HOST:PORT") from error
    steps = _steps(config, unit)
    if as_json:
        print_json({"config": str(config), "unit": str(unit), "next": steps})
        return
    print_line(f"written: {config}")
    print_line(f"written: {unit}")
    print_line("What to do next:")
    for number, step in enumerate(steps, start=1):
        print_line(f"  {number}. {step}")


def _config(data_dir: Path, pacs: str | None) -> str:
    text = _packaged("config.yaml").replace(_DATA_DIR, f"data_dir: {data_dir}  ", 1)
    if pacs is None:
        return text
    title, _, address = pacs.partition("@")
    host, _, port = address.rpartition(":")
    line = f"{{name: pacs, ae_title: {title}, host: {host}, port: {port}}}"
    at = text.rindex(_PACS)
    return text[:at] + line + text[at + len(_PACS) :]


def _unit() -> str:
    """The unit with this installation's command."""
    command = Path(sys.executable).with_name("dicom-node")
    return _packaged("dicom-node.service").replace(_COMMAND, str(command))


def _packaged(name: str) -> str:
    return (files("dicom_node.cli") / "files" / name).read_text(encoding="utf-8")


def _steps(config: Path, unit: Path) -> list[str]:
    return [
        f"edit {config}: node.ae_title, node.allowed_calling (who may call), destinations",
        f"dicom-node config check --config {config}",
        f"dicom-node doctor destination pacs --config {config} (the PACS must know our AE title)",
        f"dicom-node doctor --config {config} (the rest of the machine)",
        f"dicom-node run --config {config}",
        f"send a chest film to the node, then: dicom-node studies --config {config}",
        f"as a service: create the user dicom-node, copy {config} to /etc/dicom-node/, set "
        f"node.data_dir: /var/lib/dicom-node in it, copy {unit} to /etc/systemd/system/, then run "
        "systemctl daemon-reload and systemctl enable --now dicom-node",
        "read dicom-node docs operations and dicom-node docs deployment",
        "let your monitoring run dicom-node status --check",
    ]
