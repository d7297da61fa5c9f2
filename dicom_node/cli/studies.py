"""`studies`, `show`, `retry`, `discard` and `reread`."""

from __future__ import annotations

import atexit
import os
import pwd
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_node.cli.render import (
    NOT_FOR_DIAGNOSIS,
    ConfigOption,
    JsonOption,
    SinceOption,
    counts,
    moment,
    print_json,
    print_line,
    print_study,
    print_table,
    print_timeline,
)
from dicom_node.config import load
from dicom_node.domain.reading import Side
from dicom_node.domain.states import JobStatus
from dicom_node.domain.timeline import timeline
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dicom_node.config import Config
    from dicom_node.store.store import Store


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (studies, show, retry, discard, reread):
        app.command()(command)


def studies(  # noqa: PLR0913 - an option each
    limit: Annotated[int, typer.Option(help="Number of studies, newest first.")] = 20,
    since: SinceOption = None,
    sender: Annotated[
        str | None, typer.Option("--from", help="Only with a film from this calling AE title.")
    ] = None,
    result: Annotated[
        Side | None,
        typer.Option(help="Only with a pneumonia score on this side of the cut-off, or near it."),
    ] = None,
    held: Annotated[
        bool, typer.Option("--held", help="Only what needs a person: held, parked or withheld.")
    ] = False,
    refused: Annotated[bool, typer.Option("--refused", help="Only with a refused film.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the latest studies. Times are UTC."""
    from dicom_node.store.search import StudyFilter

    which = StudyFilter(
        since=moment(since), sender=sender, result=result, held=held, refused=refused
    )
    found = store_of(load(config)).queries.studies(limit, which)
    if as_json:
        print_json(found)
        return
    print_table(
        NOT_FOR_DIAGNOSIS,
        ["study", "last film (UTC)", "from", "films", "result", "deliveries"],
        (
            [
                row["study_instance_uid"],
                f"{row['last_received_at']:%Y-%m-%d %H:%M}",
                row["senders"],
                _films(row),
                _result(row),
                counts(row["deliveries"]),
            ]
            for row in found
        ),
        lines=False,
    )


def _films(row: Mapping[str, Any]) -> str:
    """How many films were read and refused; the rest waits, or is no film."""
    rest = row["instances"] - row["read"] - row["refused"]
    counted = {"read": row["read"], "refused": row["refused"], "not read": rest}
    return counts({name: count for name, count in counted.items() if count})


def _result(row: Mapping[str, Any]) -> str:
    """On which side of the cut-off the pneumonia score is, and the reading if it is not done."""
    job = row["job"] or JobStatus.WAITING.value
    return ", ".join(filter(None, (row["result"], "" if job == JobStatus.DONE else job)))


def show(
    study_uid: Annotated[
        str,
        typer.Argument(help="Study Instance UID, its first characters, or the accession number."),
    ],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show films, readings, results, deliveries, times and audit lines of one study, in UTC."""
    settings = load(config)
    store = store_of(settings)
    study = _meant(store, settings.node.data_dir, study_uid)
    detail = store.queries.study_detail(study)
    if detail is None:
        raise NodeError(
            f"no study with the UID or accession number {study_uid} was received, or it was removed"
        )
    record_access(store, "show", study)
    steps = timeline(detail)
    if as_json:
        print_json({**detail, "timeline": [asdict(step) for step in steps]})
    else:
        print_study(detail)
        print_timeline(steps)


_SHOWN_UIDS = 5  # if the words fit several studies


def _meant(store: Store, data_dir: Path, words: str) -> str:
    """Return the study with this UID, with this accession number, or whose UID begins so.

    Raises
    ------
    NodeError
        Several studies have this accession number, or begin so.
    """
    from dicom_node.domain.conflicts import accession_key
    from dicom_node.store.secret import node_secret

    begin = store.queries.uids_from(words, _SHOWN_UIDS + 1)
    if words in begin:
        return words
    key = accession_key(node_secret(data_dir), words)
    have = store.queries.uids_of_accession(key, _SHOWN_UIDS + 1) if key else []
    found, fit = (have, "have the accession number") if have else (begin, "begin with")
    if len(found) > 1:
        more = ", ..." if len(found) > _SHOWN_UIDS else ""
        listed = ", ".join(found[:_SHOWN_UIDS])
        raise NodeError(f"several studies {fit} {words}: {listed}{more}")
    return found[0] if found else words


def retry(
    study_uid: Annotated[
        str | None, typer.Argument(help="Study Instance UID; all if omitted.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Retry parked readings and held deliveries; probe destinations that are down."""
    store = store_of(load(config))
    store.breakers.probe_now()
    retried = {"readings": store.jobs.retry(study_uid), "deliveries": store.outbox.retry(study_uid)}
    if as_json:
        print_json(retried)
    else:
        print_line(f"to be retried: {counts(retried)}")


def discard(
    study_uid: Annotated[str | None, typer.Argument(help="Study Instance UID.")] = None,
    destination: Annotated[
        str | None, typer.Option(help="Discard what is held for this destination, in all studies.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Discard the parked readings and held deliveries of a study. This cannot be undone."""
    if (study_uid is None) == (destination is None):
        raise NodeError("give a study, or --destination with its name")
    store = store_of(load(config))
    if destination is not None:
        discarded = {"deliveries": store.outbox.discard_destination(destination)}
    elif study_uid is not None:
        discarded = {
            "readings": store.jobs.discard(study_uid),
            "deliveries": store.outbox.discard(study_uid),
        }
    if not any(discarded.values()):
        raise NodeError(
            f"study {study_uid} has no parked reading and no held delivery"
            if study_uid
            else f"no delivery to {destination} is held; what waits for a destination that left "
            "the configuration is held at its next attempt"
        )
    if as_json:
        print_json(discarded)
    else:
        print_line(f"discarded: {counts(discarded)}")


def reread(
    study_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read the films of a study again, for example with new networks or another configuration."""
    films = store_of(load(config)).jobs.reread(study_uid)
    if not films:
        raise NodeError(f"study {study_uid} has no film that was read, or is being read now")
    if as_json:
        print_json({"films": films})
    else:
        print_line(f"to be read again: {films} films")


def store_of(config: Config) -> Store:
    """Open the store of an existing data folder; raises NodeError instead of creating one."""
    from dicom_node.domain.clock import utc_now
    from dicom_node.store import store as opening
    from dicom_node.store.status import read_status

    read_status(config.node.data_dir, config.store.url)
    store = opening.store_of(config, utc_now)
    atexit.register(store.close)
    return store


def record_access(store: Store, command: str, study_uid: str | None = None) -> None:
    """Record who is about to read audit lines; if this raises, show none."""
    from dicom_node.domain.audit import AuditEvent, AuditKind

    detail: dict[str, object] = {"command": command, "user": person()}
    store.audit.append(
        AuditEvent(kind=AuditKind.AUDIT_READ, study_instance_uid=study_uid, detail=detail)
    )


def person() -> str:
    """Login name of the user who runs this command, or ``uid-N`` if there is none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"
