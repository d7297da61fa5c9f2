"""`passcode`: a line for `node.users_file`."""

from __future__ import annotations

from typing import Annotated

import typer

from dicom_node.cli.render import print_line
from dicom_node.errors import NodeError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(passcode)


def passcode(name: Annotated[str, typer.Argument(help="The user's name.")]) -> None:
    """Ask for a passcode and print the line for node.users_file that holds its hash."""
    from dicom_node.receive.passcodes import hashed

    if not name.strip() or ":" in name or not name.isprintable():
        raise NodeError("a user name must be printable and hold no colon")
    chosen = typer.prompt("Passcode", hide_input=True, confirmation_prompt=True, err=True)
    print_line(f"{name.strip()}:{hashed(chosen)}")
