"""`store`: move a stopped node's state to PostgreSQL; find what no row of it names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.render import ConfigOption, JsonOption, print_json, print_line
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.service.moving import Progress
    from dicom_node.store.bucket import Bucket

store = typer.Typer(no_args_is_help=True, help="Move the node's state to another database.")

_MIB = 2**20


@store.command("copy")
def copy(
    to: Annotated[str, typer.Option(help="URL of an empty database: postgresql+psycopg://...")],
    with_films: Annotated[
        str | None,
        typer.Option(
            help="Copy films, results, checkpoints, networks and the secret to this folder; or "
            "films and results to s3://BUCKET/PREFIX."
        ),
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="Of the bucket: https://...")] = None,
    region: Annotated[str | None, typer.Option(help="Of the bucket.")] = None,
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
    from dicom_node.store.bucket import bucket

    settings = load(config)
    in_bucket = (with_films or "").startswith("s3:")
    try:
        StoreConfig(url=to)
        there = StoreConfig(
            url=to,
            files=with_films if with_films and in_bucket else "folder",
            endpoint=endpoint,
            region=region,
        )
    except ValueError as error:
        why = "store.url would not take it, or store.files --with-films"
        raise NodeError(f"--to {to}: {why}") from error
    films: Path | Bucket | None = Path(with_films) if with_films else None
    if in_bucket:
        films = bucket(there, settings.node.data_dir)
    with _progress() as progress:
        moved = move(settings, to, films, utc_now, progress)
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
    more = f", store.files to {with_films}" if in_bucket else ""
    print_line(f"verdict    the copy is complete: set store.url to {to}{more}")


@store.command("orphans")
def orphans(
    older_hours: Annotated[
        int, typer.Option(min=0, help="Only objects that were put so long ago.")
    ] = 24,
    delete: Annotated[bool, typer.Option(help="Remove them; after an hour at least.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the objects of the bucket that no row names: what a killed process left.

    A film is put before its row is written, so a young object may get its row yet.
    """
    from dicom_node.cli.studies import store_of
    from dicom_node.domain.clock import utc_now
    from dicom_node.store.bucket import Bucket

    opened = store_of(load(config))
    blobs = opened.blobs
    if not isinstance(blobs, Bucket):
        raise NodeError("films and results are in the data folder (store.files)")
    if delete and older_hours < 1:
        raise NodeError("--delete needs --older-hours of 1 or more: a row may be on its way")
    found = blobs.unnamed(opened.named_files(), utc_now() - timedelta(hours=older_hours))
    if delete:
        blobs.delete(found)
    if as_json:
        print_json({"files": blobs.place, "orphans": found, "deleted": delete})
        return
    for name in found:
        print_line(str(name))
    print_line(f"verdict    {len(found)} objects without a row{', deleted' * delete}")


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
