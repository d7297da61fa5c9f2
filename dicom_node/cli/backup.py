"""`backup`: copy the data folder while the node runs, and verify the copy."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.render import ConfigOption, JsonOption, print_json, print_line
from dicom_node.config import load
from dicom_node.errors import NodeError
from dicom_node.store.plain import SQLITE

_MIB = 2**20


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(backup)


def backup(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", file_okay=False)],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Copy the database, films, results and secret, and verify the copy; the node may keep running.

    Exit status 1 if the copy has a fault. To restore: stop the node, replace the data folder
    by the copy, run `doctor store` and `audit verify`, and start the node.
    """
    from dicom_node.store.backup import back_up

    settings = load(config)
    if settings.store.url != SQLITE:
        raise NodeError(
            "the state is in PostgreSQL: copy it with pg_dump, and then the data folder and, if "
            "store.files names one, the bucket"
        )
    made = back_up(settings.node.data_dir, folder)
    if as_json:
        print_json(asdict(made))
    else:
        for fault in made.faults:
            print_line(f"FAULT      {fault}")
        print_line(f"copied     {made.files} films and results, {made.bytes / _MIB:.1f} MiB")
        if made.removed:
            print_line(f"removed    {made.removed} files went while the copy was made (retention)")
        verdict = "the backup has faults" if made.faults else "the backup is complete and intact"
        print_line(f"verdict    {verdict}: {folder}")
    if made.faults:
        raise typer.Exit(1)
