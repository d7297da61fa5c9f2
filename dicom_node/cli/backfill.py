"""`backfill`: fetch older films from a PACS and read them when nothing else waits."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.destinations import named
from dicom_node.cli.render import (
    ConfigOption,
    JsonOption,
    counts,
    print_json,
    print_line,
    printable,
)
from dicom_node.cli.studies import person, store_of
from dicom_node.config import Config, DicomDestination, WebDestination, load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_node.backfill.fill import Backfill, Tally
    from dicom_node.backfill.query import Study
    from dicom_node.backfill.retrieve import Way
    from dicom_node.deliver.examine.fetch import Caller
    from dicom_node.deliver.web_archive import WebArchive
    from dicom_node.store.store import Store

    #: What films are fetched from.
    Pacs = DicomDestination | WebDestination

_SEND_SECONDS = 600.0  # between two answers of a PACS that fetches a study from a slow archive
_MOST_DAYS = 3660  # of one command
_SHOWN_REASONS = 10


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(backfill)


def backfill(  # noqa: PLR0913 - an option each
    source: Annotated[str, typer.Option("--from", help="The PACS, by its name in `destinations`.")],
    dates: Annotated[
        str, typer.Option("--date", help="Study dates: 20260131, or 20260101-20260131.")
    ],
    modality: Annotated[str, typer.Option(help="Modalities of the series, with commas.")] = "CR,DX",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be fetched; fetch nothing.")
    ] = False,
    rate: Annotated[
        float | None, typer.Option(help="At most so many studies a minute.", min=0.01)
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Fetch older studies from a PACS that the node never had; exit status 1 if one did not come.

    The running node reads them when nothing else waits. Run the command again to go on where it
    ended: what is here, was here or was erased is not fetched.
    """
    from dicom_node.backfill.fill import Tally

    settings = load(config)
    peer = named(settings, source)
    if not isinstance(peer, DicomDestination | WebDestination):
        raise NodeError(f"{source} is no PACS: films come by C-MOVE, C-GET or WADO-RS only")
    days, wanted = _days(dates), [word.strip().upper() for word in modality.split(",")]
    store, tally = store_of(settings), Tally()
    filling = _prepared(settings, peer, store, rate, dry_run=dry_run)
    _record_start(store, peer, dates, wanted, dry_run=dry_run)
    with _progress(len(days), shown=not as_json) as (say, advance):
        for day in days:
            filling.run(_studies(settings, peer, day, wanted), tally, say)
            advance()
    if as_json:
        print_json({"peer": peer.name, "dates": dates, "dry_run": dry_run, **tally.as_json()})
    else:
        _print(tally, dry_run=dry_run)
    if not tally.is_complete:
        raise typer.Exit(1)


def _days(dates: str) -> list[date]:
    """The days of ``20260131`` or ``20260101-20260131``."""
    first, _, last = dates.partition("-")
    try:
        begin = datetime.strptime(first, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
        end = datetime.strptime(last or first, "%Y%m%d").date()  # noqa: DTZ007
    except ValueError as error:
        raise NodeError(f"--date {dates}: write 20260131 or 20260101-20260131") from error
    if not 0 <= (end - begin).days < _MOST_DAYS:
        raise NodeError(f"--date {dates}: ends before it begins, or is longer than ten years")
    return [begin + timedelta(days=each) for each in range((end - begin).days + 1)]


def _caller(config: Config, peer: DicomDestination, timeout_seconds: float | None = None) -> Caller:
    from dicom_node.deliver.examine.fetch import Caller

    seconds = timeout_seconds or config.delivery.timeout_seconds
    return Caller(config.node.ae_title, peer, seconds, config.tls)


def _archive(config: Config, service: WebDestination) -> WebArchive:
    from dicom_node.deliver.web_archive import WebArchive

    seconds = config.delivery.timeout_seconds
    return WebArchive(service, seconds, max(_SEND_SECONDS, seconds))


def _studies(config: Config, peer: Pacs, day: date, modalities: Sequence[str]) -> list[Study]:
    from dicom_node.backfill.query import studies, studies_by_web

    if isinstance(peer, WebDestination):
        return studies_by_web(_archive(config, peer), day, modalities)
    return studies(_caller(config, peer), day, modalities)


def _prepared(
    config: Config, peer: Pacs, store: Store, rate: float | None, *, dry_run: bool
) -> Backfill:
    from dicom_node.backfill.fill import Backfill
    from dicom_node.backfill.pace import LONGEST_QUEUE, Pace, disk_is_short

    def hindrance() -> str:
        if disk_is_short(config.node.data_dir, config.spool):
            return "the disk is short"
        waiting = store.queries.waiting_films()
        return f"{waiting} films wait to be read" if waiting > LONGEST_QUEUE else ""

    return Backfill(
        peer=peer.name,
        known=store.queries,
        audit=store.audit,
        pace=Pace(hindrance=hindrance, per_minute=rate),
        way=None if dry_run else _way(config, peer, store),
    )


def _way(config: Config, peer: Pacs, store: Store) -> Way:
    """C-MOVE to the running node, else C-GET; WADO-RS of a web service."""
    from dicom_node.backfill.door import Door
    from dicom_node.backfill.retrieve import ByGet, ByMove, ByWado, services
    from dicom_node.deliver.examine.offers import GET, MOVE
    from dicom_node.domain.clock import utc_now
    from dicom_node.service.pidfile import processes
    from dicom_node.store.secret import node_secret

    if "supervisor" not in processes(config.run_dir):
        raise NodeError("the node is not running, so nothing would be read: start it first")
    secret = node_secret(config.node.data_dir)
    door = Door(config, peer, store.inbox, store.audit, utc_now, secret)
    if isinstance(peer, WebDestination):
        return ByWado(_archive(config, peer), door)
    offered = services(_caller(config, peer))
    patient = _caller(config, peer, max(_SEND_SECONDS, config.delivery.timeout_seconds))
    if MOVE in offered:
        port = config.node.port if config.plain_is_open else config.tls.port
        return ByMove(patient, f"port {port} of this machine")
    if GET not in offered:
        raise NodeError(f"{peer.name} offers neither C-MOVE nor C-GET")
    return ByGet(patient, door)


def _record_start(
    store: Store, peer: Pacs, dates: str, modalities: Sequence[str], *, dry_run: bool
) -> None:
    from dicom_node.domain.audit import AuditEvent, AuditKind

    detail: dict[str, object] = {"peer": peer.name, "dates": dates, "dry_run": dry_run}
    detail |= {"modalities": list(modalities), "user": person()}
    store.audit.append(AuditEvent(kind=AuditKind.BACKFILL_STARTED, detail=detail))


@contextmanager
def _progress(
    days: int, *, shown: bool
) -> Iterator[tuple[Callable[[str], object], Callable[[], object]]]:
    """A progress bar on standard error: what says what is done now, and what ends a day."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    columns = (*Progress.get_default_columns()[1:3], TextColumn("of days"), TimeElapsedColumn())
    text = TextColumn("{task.description}", markup=False)
    with Progress(
        *columns, text, console=Console(stderr=True), disable=not (shown and sys.stderr.isatty())
    ) as bar:
        task = bar.add_task("asks for the first day", total=days)
        yield (
            lambda what: bar.update(task, description=printable(what)),
            lambda: bar.advance(task),
        )


def _print(tally: Tally, *, dry_run: bool) -> None:
    studies = {fate.value: count for fate, count in tally.studies.items()}
    print_line(f"studies    {counts(studies)}")
    verb = "would come" if dry_run else "came"
    failed = f", {tally.failed_instances} did not" if tally.failed_instances else ""
    print_line(f"instances  {tally.instances} {verb}{failed}")
    for study, reason in list(tally.reasons.items())[:_SHOWN_REASONS]:
        print_line(f"FAILED     {study}: {reason}")
    if not tally.is_complete:
        print_line("           -> run the same command again: it fetches what is missing")
