"""`conformance`: write the DICOM Conformance Statement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.render import ConfigOption, print_line
from dicom_node.config import load
from dicom_node.errors import NodeError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(conformance)


def conformance(
    out: Annotated[
        Path, typer.Option(help="The file to write; - prints it.", dir_okay=False)
    ] = Path("docs/CONFORMANCE.md"),
    config: ConfigOption = None,
) -> None:
    """Write the DICOM Conformance Statement of this configuration."""
    from dicom_node.conformance import statement

    text = statement(load(config))
    if str(out) == "-":
        typer.echo(text, nl=False)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NodeError(f"cannot write {out}: {error.strerror}") from error
    print_line(f"written: {out}")
