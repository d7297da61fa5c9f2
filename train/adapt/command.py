"""``python -m train adapt`` and ``python -m train replay-set``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from dicom_node.config import load
from dicom_node.errors import NodeError
from models import registry
from train.adapt import candidate, replay_set, site_films
from train.adapt.sight import see


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(adapt)
    app.command("replay-set")(make_replay_set)


def adapt(
    from_node: Annotated[Path, typer.Option(help="The node's configuration file", exists=True)],
    out: Annotated[Path, typer.Option(help="Folder of the run: copies, then the candidate")],
    data: Annotated[
        Path | None, typer.Option(help="Public films, to measure what was forgotten", exists=True)
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
) -> None:
    """Teach the version in use by the node's verdicts; write a candidate to OUT/candidate.

    Only the last block and layer of stages 2 and 3 learn. The newest months are the test. A stage
    with fewer than a hundred films, none of a kind, or no gain on the validation films stays as it
    is; if both do, the command ends with status 1 and writes no candidate.
    """
    torch.set_num_threads(threads)
    config = load(from_node)
    try:
        base = site_films.base_of(config)
        cascade = registry.load(base)
        copies = site_films.export(config, cascade, out / "films")
        films, first = site_films.split(copies)
        site_films.write_table(films, out / "films" / "films.csv")
        places = see(cascade, "pneumonia", [film.path for film in films])
        site = candidate.Site(films=films, places=places, first_day=first)
        result = candidate.make(base, cascade, site, out / "candidate", public=data)
    except (NodeError, site_films.TooFew, candidate.NothingTaught) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo((out / "candidate" / "adapt.json").read_text(encoding="utf-8"))
    for stage, found in result["stages"].items():
        if found["kept"]:
            typer.echo(f"{stage} stays as it is: {found['kept']}", err=True)
    typer.echo(f"written: {out / 'candidate'}, version {result['version']}", err=True)


def make_replay_set(
    data: Annotated[Path, typer.Option(envvar="DATA", help="Public films", exists=True)],
    to: Annotated[Path, typer.Option(help="Models directory")] = registry.DEFAULT,
) -> None:
    """Write the replay set of a models directory: numbers of public films, no film."""
    path = replay_set.make(registry.load(to, gate=False), data, to)
    typer.echo(f"written: {path}, {path.stat().st_size // 1024} KiB")
