"""`replay`: what other networks, or another configuration, would have made of the stored films."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_node.cli.render import ConfigOption, JsonOption, SinceOption, moment, print_json
from dicom_node.cli.render import print_line as say
from dicom_node.cli.shadow import print_evidence
from dicom_node.cli.studies import store_of
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dicom_node.dicom.blobs import Blobs
    from dicom_node.domain.evidence import Evidence, Pairs
    from dicom_node.domain.reading import ReadingSummary
    from dicom_node.pipeline import Pipeline


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(replay)


def replay(
    since: SinceOption = None,
    model: Annotated[
        Path | None, typer.Option(help="Other networks: manifest.yaml, weights/, cards/.")
    ] = None,
    with_config: Annotated[
        Path | None,
        typer.Option("--with", help="Another configuration, for select, gate and models."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for studies.csv and report.json.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read the stored films again with other networks or settings; change and send nothing.

    Films that the networks may have learned from are left out, and those refused at the time.
    """
    from dicom_node.domain.clock import utc_now
    from dicom_node.domain.evidence import weigh
    from dicom_node.infer import CascadeReader
    from dicom_node.log import configure
    from dicom_node.pipeline import Pipeline
    from dicom_node.store.pairs import paired

    if model is None and with_config is None:
        raise NodeError("give --model, --with, or both")
    settings = load(config)
    configure(settings.log, "replay")
    store = store_of(settings)
    other = load(with_config) if with_config else settings
    models = other.models.model_copy(update={"dir": model}) if model else other.models
    reader = CascadeReader(models, other.workers.threads)
    pipeline = Pipeline(config=other, reader=reader, clock=utc_now)
    films = store.shadow.films(moment(since), reader.identity.learned_before)
    outcomes = list(_scores(pipeline, store.blobs, films))
    both = zip(films, outcomes, strict=True)
    read = [(film, reading) for film, reading in both if not isinstance(reading, str)]
    pairs = paired(read, store.verdicts.current())
    found = weigh(pairs)
    counts = {"read": len(read)} | {name: outcomes.count(name) for name in ("refused", "failed")}
    report = {"model": reader.identity.version, "films": counts}
    if out is not None:
        _write(out, pairs, report | found.as_json())
    if as_json:
        print_json(report | found.as_json())
    else:
        _print(report, found)


def _scores(
    pipeline: Pipeline, blobs: Blobs, films: Sequence[Mapping[str, Any]]
) -> Iterator[ReadingSummary | str]:
    """What becomes of each film: a reading, ``refused`` or ``failed``; a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    from dicom_node.dicom.malformed import MALFORMED

    console = Console(stderr=True)
    shown = track(
        films, "Reading", console=console, transient=True, disable=not console.is_terminal
    )
    for film in shown:
        try:
            with blobs.local(Path(film["path"])) as path:
                outcome = pipeline.score(path, sender=film["calling_ae_title"])
        except (*MALFORMED, OSError, NodeError):
            yield "failed"
        else:
            yield outcome.reading or "refused"


def _write(out: Path, pairs: Pairs, report: dict[str, Any]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "studies.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["study_instance_uid", "stage", "used", "used_positive", "other",
                            "other_positive", "ill"])  # fmt: skip
            table.writerows(
                [pair.study_instance_uid, stage, pair.used.probability, pair.used.positive,
                 pair.other.probability, pair.other.positive, "" if pair.ill is None else pair.ill]
                for stage, found in (("pneumonia", pairs.pneumonia), ("covid19", pairs.covid19))
                for pair in found
            )  # fmt: skip
        (out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise NodeError(f"{out} cannot be written: {error.strerror}") from error


def _print(report: dict[str, Any], found: Evidence) -> None:
    films = report["films"]
    say(f"replayed   {films['read']} films with {report['model']}; {films['refused']} refused, "
        f"{films['failed']} failed")  # fmt: skip
    print_evidence(found)
