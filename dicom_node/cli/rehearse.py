"""`rehearse`: how many films a day this configuration carries on this machine."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_node.cli.render import ConfigOption, JsonOption, print_json, print_line
from dicom_node.config import load
from dicom_node.domain.mood import Mood

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_node.demo.rehearsal import Observed


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(rehearse)


def rehearse(
    films: Annotated[
        float | None,
        typer.Option(help="Films a day to be carried; without it, as many as can be.", min=1),
    ] = None,
    minutes: Annotated[float, typer.Option(help="How long films are sent.", min=0.05)] = 5.0,
    pacs: Annotated[
        Mood, typer.Option(help="What the PACS does; down and refusing end at half time.")
    ] = Mood.NORMAL,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Load a node with this configuration like a busy hour, in a folder and on ports of its own.

    Nothing of the real node is touched; drawn films of a test patient go to a small PACS. Exit
    status 1 if films were lost or the node did not keep up.
    """
    from dicom_node.demo.rehearsal import rehearse as run

    settings = load(config)
    with _saying(shown=not as_json) as say:
        seen = run(settings, films, minutes, pacs, say)
    if as_json:
        print_json(_as_json(seen))
    else:
        for line in _lines(seen):
            print_line(line)
    if not seen.keeps_up:
        raise typer.Exit(1)


def verdict(seen: Observed) -> str:
    """One sentence for a person."""
    if seen.lost or seen.rejected:
        return f"films were lost: {seen.rejected} not taken, {seen.lost} without a result"
    if seen.films_a_day is None:
        return f"carries {seen.capacity} films a day"
    wanted = f"{seen.films_a_day:g} films a day"
    if seen.keeps_up:
        return f"carries {wanted}"
    return f"does not carry {wanted}: {seen.waiting} of {seen.films} films waited in the end"


def _percentile(seen: Observed, percent: float) -> float | None:
    from dicom_node.store.figures import percentile

    return round(percentile(seen.latencies, percent), 1) if seen.latencies else None


def _as_json(seen: Observed) -> dict[str, Any]:
    return {
        **asdict(seen),
        "p50_seconds": _percentile(seen, 50),
        "p95_seconds": _percentile(seen, 95),
        "capacity": seen.capacity,
        "gigabytes_a_day": round(_a_day(seen), 2),
        "keeps_up": seen.keeps_up,
        "verdict": verdict(seen),
    }


def _a_day(seen: Observed) -> float:
    """Gigabytes that the data folder grows by on such a day."""
    return seen.megabytes_a_film * (seen.films_a_day or seen.capacity) / 1000


def _lines(seen: Observed) -> Iterator[str]:
    yield f"films      {seen.films} in {seen.seconds:.0f} s, {seen.refused} of them refused"
    yield f"objects    {seen.objects} at the PACS ({seen.mood})"
    yield (
        f"latency    p50 {_percentile(seen, 50)} s, p95 {_percentile(seen, 95)} s, "
        "from a film's Success to its last object at the PACS"
    )
    yield f"queue      {seen.longest_queue} films at most, {seen.waiting} when the last was sent"
    yield f"disk       {seen.megabytes_a_film:.1f} MB a film, {_a_day(seen):.1f} GB a day"
    if seen.left_out:
        yield f"left out   {', '.join(seen.left_out)}: no PACS can stand for these destinations"
    yield "day        the busiest hour is taken to have an eighth of a day's films"
    yield f"verdict    {verdict(seen)}"


@contextmanager
def _saying(*, shown: bool) -> Iterator[Callable[[str], object]]:
    """A line on standard error that says what is done now."""
    from rich.console import Console

    console = Console(stderr=True)
    if not (shown and sys.stderr.isatty()):
        yield lambda _: None
        return
    with console.status("") as status:
        yield status.update
