"""`read`: the node's own pipeline on files, without DICOM networking."""

from __future__ import annotations

import errno
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
    from collections.abc import Iterable, Sequence

    from dicom_node.domain.reading import ReadingSummary
    from dicom_node.domain.values import FilmOutcome
    from dicom_node.pipeline import Pipeline


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(read)


def read(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the composed objects.")],
    force_stage3: Annotated[
        bool, typer.Option(help="Run stage 3 even below the threshold of stage 2.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read films from files with the node's own pipeline, without DICOM networking.

    If a file cannot be read, the others still are; the exit status is then 1.
    """
    from dicom_node.domain.clock import utc_now
    from dicom_node.infer import CascadeReader
    from dicom_node.log import configure
    from dicom_node.pipeline import Pipeline, entry

    settings = load(config)
    configure(settings.log, "read")
    files = files_of(paths)
    reader = CascadeReader(settings.models, settings.workers.threads)
    pipeline = Pipeline(config=settings, reader=reader, clock=utc_now)
    films = read_files(pipeline, files, out, force_stage3=force_stage3)
    if as_json:
        print_json([entry(path, outcome) for path, outcome in films])
    else:
        print_readings(films)
    if any(isinstance(outcome, str) for _, outcome in films):
        raise typer.Exit(1)


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Every given file, and every file below each given folder, in order.

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
    pipeline: Pipeline, files: Sequence[Path], out: Path, *, force_stage3: bool
) -> list[tuple[Path, FilmOutcome | str]]:
    """Read each file, with a progress bar on a terminal.

    Returns
    -------
    list of (path, outcome)
        The outcome is a sentence if reading the file failed.
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    shown = track(
        files, "Reading", console=console, transient=True, disable=not console.is_terminal
    )
    return [(path, _read(pipeline, path, out, force_stage3=force_stage3)) for path in shown]


def _read(pipeline: Pipeline, path: Path, out: Path, *, force_stage3: bool) -> FilmOutcome | str:
    from dicom_node.dicom.malformed import MALFORMED
    from dicom_node.log import where

    try:
        return pipeline.read(path, out, force_stage3=force_stage3)
    except OSError as error:
        if error.errno == errno.ENOSPC:  # it would fail for the other files, too
            raise
        return f"the file cannot be read: {error.strerror or type(error).__name__}"
    except (*MALFORMED, NodeError) as error:
        return f"reading failed: {where(error)}"


def print_readings(films: Sequence[tuple[Path, FilmOutcome | str]]) -> None:
    """Print one row for each film."""
    print_table(
        NOT_FOR_DIAGNOSIS,
        ["film", "accepted", "lungs", "pneumonia", "COVID-19", "objects"],
        (
            [path, f"FAILED: {outcome}", "", "", "", ""]
            if isinstance(outcome, str)
            else [
                path,
                f"no: {outcome.refusal.reason}" if outcome.refusal else "yes",
                *_numbers(outcome.reading),
                _objects(outcome),
            ]
            for path, outcome in films
        ),
    )
    print_line(
        "In brackets: the threshold from which on a film is positive, and its operating point."
    )


def _numbers(reading: ReadingSummary | None) -> list[str]:
    if reading is None:
        return ["", "", ""]
    return [
        f"{reading.lung_area:.0%}",
        probability(reading.pneumonia),
        probability(reading.covid19),
    ]


def _objects(outcome: FilmOutcome) -> str:
    count = len(outcome.results)
    return f"{count}, FAULTY (--json says why)" if outcome.faults else str(count)
