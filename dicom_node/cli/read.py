"""`read`: the node's own pipeline on files, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.render import (
    NOT_FOR_DIAGNOSIS,
    ConfigOption,
    JsonOption,
    print_json,
    print_line,
    print_table,
    probability,
)
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dicom_node.config import Config


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(read)


def read(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the composed objects.")],
    force_stage3: Annotated[
        bool, typer.Option(help="Run stage 3 below stage 2's threshold too.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read films from files with the node's own pipeline, without a network."""
    from dicom_node.log import configure

    settings = load(config)
    configure(settings.log, "read")
    entries = read_files(settings, files_of(paths), out, force_stage3=force_stage3)
    if as_json:
        print_json(entries)
    else:
        print_readings(entries)


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Every file named, and every file below every folder named, in order.

    Raises
    ------
    NodeError
        A path does not exist.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise NodeError(f"no such file or folder: {path}")
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return files


def read_files(
    config: Config, files: Sequence[Path], out: Path, *, force_stage3: bool
) -> list[dict[str, object]]:
    """Read each file; one entry of `read --json` each, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    from dicom_node.domain.clock import utc_now
    from dicom_node.infer import CascadeReader
    from dicom_node.pipeline import Pipeline, entry

    reader = CascadeReader(config.models.dir, config.workers.threads)
    pipeline = Pipeline(config=config, reader=reader, clock=utc_now)
    console = Console(stderr=True)
    return [
        entry(path, pipeline.read(path, out, force_stage3=force_stage3))
        for path in track(
            files, "Reading", console=console, transient=True, disable=not console.is_terminal
        )
    ]


def print_readings(entries: Sequence[Mapping[str, object]]) -> None:
    """Print one row a film for people."""
    print_table(
        NOT_FOR_DIAGNOSIS,
        ["film", "accepted", "lungs", "pneumonia", "COVID-19", "objects"],
        (
            [
                entry["path"],
                "yes" if entry["accepted"] else _reason(entry["refusal"]),
                _area(entry["lungs"]),
                probability(entry["pneumonia"]),
                probability(entry["covid19"]),
                _objects(entry),
            ]
            for entry in entries
        ),
    )
    print_line("Probabilities stand against the threshold of the model version in brackets.")


def _objects(entry: Mapping[str, object]) -> str:
    objects = entry["objects"]
    count = len(objects) if isinstance(objects, list) else 0
    return f"{count}, FAULTY (--json says why)" if entry["faults"] else str(count)


def _reason(refusal: object) -> str:
    return f"no: {refusal['reason']}" if isinstance(refusal, dict) else "no"


def _area(lungs: object) -> str:
    return f"{lungs['area_fraction']:.0%}" if isinstance(lungs, dict) else ""
