"""`store copy`: move a stopped node's state to PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.render import ConfigOption, JsonOption, print_json, print_line
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.service.moving import Progress

store = typer.Typer(no_args_is_help=True, help="Move the node's state to another database.")

_MIB = 2**20


@store.command("copy")
def copy(
    to: Annotated[str, typer.Option(help="URL of an empty database: postgresql+psycopg://...")],
    with_films: Annotated[
        Path | None,
        typer.Option(
            help="Copy films, results, checkpoints, networks and the secret to this folder.",
            file_okay=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Copy a stopped node's state from SQLite to PostgreSQL, and verify the copy.

    The audit log is verified before and after. Without --with-films, the files stay in the data
    folder, which all machines must then share. Cut off, it goes on when it is run again.
    """
    from dicom_node.config.sections import StoreConfig
    from dicom_node.domain.clock import utc_now
    from dicom_node.service.moving import move

    settings = load(config)
    try:
        StoreConfig(url=to)
    except ValueError as error:
        raise NodeError(f"--to {to}: store.url would not take it") from error
    with _progress() as progress:
        moved = move(settings, to, with_films, utc_now, progress)
    if as_json:
        print_json(asdict(moved))
        return
    rows = sum(each.copied for each in moved.tables)
    earlier = sum(each.earlier for each in moved.tables)
    print_line(f"rows       {rows} copied, {earlier} were there")
    if moved.files is not None:
        size = f"{moved.files.bytes / _MIB:.1f} MiB"
        print_line(
            f"files      {moved.files.files} copied ({size}), {moved.files.earlier} were there"
        )
    print_line(
        f"audit      {moved.audit_lines} lines are intact in both databases and agree with "
        f"{moved.checkpoints} checkpoints"
    )
    print_line(f"verdict    the copy is complete: set store.url to {to}")


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    from dicom_node.service.moving import Progress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=Console(file=sys.stderr)) as bar:
        yield Progress(
            begin=lambda what, total: bar.add_task(what, total=total),
            advance=lambda count: bar.advance(bar.task_ids[-1], count),
        )
