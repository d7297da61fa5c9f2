"""`read`: the node's own pipeline on files, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.cli.output import NOT_FOR_DIAGNOSIS, print_line, print_table, probability
from dicom_node.pipeline import Pipeline, entry
from dicom_node.roles import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dicom_node.config import Config


def read_files(
    config: Config, files: Sequence[Path], out: Path, *, force_stage3: bool
) -> list[dict[str, object]]:
    """Read each file; one entry of `read --json` each, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    from dicom_node.infer import CascadeReader

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
