"""`why`: what the node would do with a film, by which rule and with what result."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.render import (
    NOT_FOR_DIAGNOSIS,
    ConfigOption,
    JsonOption,
    print_json,
    print_table,
    probability,
)
from dicom_node.config import load
from dicom_node.domain.values import RefusalCode
from dicom_node.errors import ModelError, NodeError, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_node.config import Config
    from dicom_node.domain.values import FilmOutcome
    from dicom_node.pipeline import Pipeline

#: What in the configuration decides on a refusal.
RULES: dict[RefusalCode, str] = {
    RefusalCode.SOP_CLASS: "fixed: CR, DX and Secondary Capture are films",
    RefusalCode.MODALITY: "fixed: the modality must be that of a radiograph",
    RefusalCode.BODY_PART: "select.body_parts, select.accept_blank_body_part",
    RefusalCode.VIEW: "select.accept_blank_view",
    RefusalCode.SIZE: "select.min_side, select.max_aspect",
    RefusalCode.INTENT: "select.accept_for_processing",
    RefusalCode.IMAGE_TYPE: "fixed: a derived image is not a film",
    RefusalCode.PHOTOMETRIC: "fixed: films are monochrome",
    RefusalCode.FRAMES: "fixed: films have one frame",
    RefusalCode.UNREADABLE: "fixed: the pixels must decode; workers.film_memory_mb",
    RefusalCode.FILE: "fixed: a DICOM file with the UIDs that results refer to",
    RefusalCode.AGE: "gate.min_age_years, gate.accept_unknown_age",
    RefusalCode.NOT_CHEST: "gate.enabled, and the limits of the networks",
    RefusalCode.NOT_FRONTAL: "gate.enabled, and the limits of the networks",
    RefusalCode.ORIENTATION: "gate.enabled, and the limits of the networks",
    RefusalCode.POLARITY: "gate.enabled, gate.polarity",
    RefusalCode.CROPPED: "gate.enabled, and the limits of the networks",
    RefusalCode.EXPOSURE: "gate.enabled, and the limits of the networks",
    RefusalCode.UNFAMILIAR: "gate.enabled, and the limits of the networks",
}

_REJECTED = "rejected: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One decision about a film."""

    step: str
    result: str
    rule: str  # keys of the configuration


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(why)


def why(
    file: Annotated[Path, typer.Argument(help="A DICOM file.")],
    sender: Annotated[
        str, typer.Option("--from", help="The calling AE title that would send it.")
    ] = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say what would be done with a film, by which rule and with what result, without doing it.

    Nothing is stored, sent or audited. Exit status 1 if the film would not be read, or the caller
    be rejected; what follows is what another caller's film would get.
    """
    from dicom_node.log import configure

    settings = load(config)
    configure(settings.log, "why")
    steps = list(explained(settings, file, sender))
    if as_json:
        print_json([asdict(step) for step in steps])
    else:
        print_table(
            NOT_FOR_DIAGNOSIS,
            ["step", "result", "rule"],
            ([each.step, each.result, each.rule] for each in steps),
        )
    if not would_be_read(steps):
        raise typer.Exit(1)


def would_be_read(steps: Iterable[Step]) -> bool:
    """Whether the film has a reading and its caller is not rejected."""
    named = {each.step: each.result for each in steps}
    return "reading" in named and not named.get("caller", "").startswith(_REJECTED)


def explained(
    config: Config, file: Path, sender: str, pipeline: Pipeline | None = None
) -> Iterator[Step]:
    """Each decision about the film; a step ``reading`` only if it would be read.

    Parameters
    ----------
    pipeline
        Reads the film; None for the one of the configuration, if its networks can be loaded.

    Raises
    ------
    NodeError
        The file cannot be opened.
    """
    if not file.is_file():
        raise NodeError(f"no such file: {file}")
    if sender:
        yield _caller(config, sender)
    try:
        pipeline = pipeline or _pipeline(config)
    except ModelError as error:
        yield from _without_networks(config, file, str(error))
        return
    with tempfile.TemporaryDirectory() as folder:
        outcome = pipeline.read(file, Path(folder), sender=sender)
    yield from _decision(outcome)
    yield from _thresholds(pipeline, file, sender, outcome)
    yield from _objects(config, outcome)


def _pipeline(config: Config) -> Pipeline:
    from dicom_node.domain.clock import utc_now
    from dicom_node.infer import CascadeReader
    from dicom_node.pipeline import Pipeline

    reader = CascadeReader(config.models, config.workers.threads)
    return Pipeline(config=config, reader=reader, clock=utc_now)


def _caller(config: Config, sender: str) -> Step:
    """Whether the AE title may call and whether its films are urgent."""
    listed = [each for each in config.node.allowed_calling if each.ae_title == sender.strip()]
    if config.node.allowed_calling and not listed:
        result = f"{_REJECTED}{sender} is not in the list"
    else:
        places = ", ".join(sorted({each.address or "anywhere" for each in listed}))
        result = f"may call from {places or 'anywhere'}"
    if sender.strip() in config.priority.stat_ae_titles:
        result += "; its films are urgent"
    return Step(step="caller", result=result, rule="node.allowed_calling, priority.stat_ae_titles")


def _without_networks(config: Config, file: Path, reason: str) -> Iterator[Step]:
    """What header and pixels decide where the networks cannot be loaded."""
    from dicom_node import gate, pixels, select_images
    from dicom_node.domain.clock import utc_now

    try:
        source = pixels.read_dataset(file)
        refusal = select_images.select(source, config.select) or gate.examine_header(
            source, config.gate, utc_now().date()
        )
    except Refused as error:
        yield _refused(RefusalCode(error.code), error.reason)
        return
    if refusal:
        yield _refused(refusal.code, refusal.reason)
        return
    yield Step(step="header", result="a frontal chest film of an adult", rule="select, gate")
    yield Step(step="networks", result=f"not read: {reason}", rule="models")


def _decision(outcome: FilmOutcome) -> Iterator[Step]:
    if outcome.refusal:
        yield _refused(outcome.refusal.code, outcome.refusal.reason)
    else:
        yield Step(step="header", result="a frontal chest film of an adult", rule="select, gate")


def _refused(code: RefusalCode, reason: str) -> Step:
    return Step(step="refused", result=f"{code.value}: {reason}", rule=RULES[code])


def _thresholds(
    pipeline: Pipeline, file: Path, sender: str, outcome: FilmOutcome
) -> Iterator[Step]:
    """The thresholds of a film that is read, and its result."""
    from dicom_node import pixels

    reading = outcome.reading
    if reading is None:
        return
    if reading.polarity:
        yield Step(step="polarity", result=reading.polarity, rule="gate.polarity")
    chosen = pipeline.thresholds(pixels.read_dataset(file), sender)
    yield Step(
        step="thresholds",
        result=f"pneumonia {chosen.pneumonia}, covid19 {chosen.covid19}",
        rule="thresholds",
    )
    covid19 = probability(reading.covid19) or "not run: stage 2 is below its threshold"
    yield Step(
        step="reading",
        result=f"pneumonia {probability(reading.pneumonia)}, COVID-19 {covid19}",
        rule=f"models, version {reading.model_version}",
    )


def _objects(config: Config, outcome: FilmOutcome) -> Iterator[Step]:
    """How many objects each destination would get."""
    count = len(outcome.results)
    if outcome.faults:
        result = f"withheld: {outcome.faults[0].message}"
    elif not config.destinations:
        result = f"{count} objects stay in the data folder"
    else:
        names = ", ".join(f"{each.name} ({each.identity.value})" for each in config.destinations)
        result = f"{count} objects for {names}"
    yield Step(step="results", result=result, rule="results, report, destinations")
