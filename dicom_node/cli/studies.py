"""The commands an administrator looks and mends with."""

from __future__ import annotations

import os
import pwd
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.output import (
    NOT_FOR_DIAGNOSIS,
    ConfigOption,
    JsonOption,
    print_json,
    print_line,
    print_table,
)
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_node.config import Config
    from dicom_node.store.opening import Store
    from dicom_node.store.status import Status


def register(app: typer.Typer) -> None:
    """Hang these commands on the application."""
    for command in (status, studies, show, retry, discard, reread):
        app.command()(command)


def status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Say who is alive and what waits."""
    from dicom_node.alarms import alarms, untold
    from dicom_node.processes import processes
    from dicom_node.store.status import read_status

    settings = load(config)
    data_dir = settings.node.data_dir
    told, alive = read_status(data_dir), processes(data_dir)
    now = datetime.now(UTC)
    queue = _audit_queue(told, now) if settings.audit.repository else None
    alarming = alarms(settings, now)
    if queue:
        alarming += untold(settings, queue["lines"], queue["oldest_seconds"])
    if as_json:
        print_json({**told, "audit_queue": queue, "processes": alive, "alarms": alarming})
        return
    print_line(NOT_FOR_DIAGNOSIS)
    for sentence in alarming:
        print_line(f"ALARM      {sentence}")
    print_line(f"node       {', '.join(sorted(alive)) if alive else 'not running'}")
    print_line(f"studies    {told['studies']}")
    print_line(f"instances  {_counts(told['instances'])}")
    print_line(f"readings   {_counts(told['jobs'])}")
    for destination, counts in told["deliveries"].items():
        print_line(f"to {destination:8} {_counts(counts)}")
    for destination, breaker in told["breakers"].items():
        if breaker["open"]:
            print_line(
                f"DOWN       {destination} since {breaker['since']}: {breaker['reason']}; "
                f"next look {breaker['next_probe']}"
            )
    if any(counts.get("withheld") for counts in told["deliveries"].values()):
        print_line("ALARM      objects failed the node's own check and are withheld: see `show`")
    print_line(f"waiting    since {told['oldest_waiting'] or 'nothing waits'}")
    waiting = queue["lines"] if queue else 0
    rest = f", {waiting} not told to the repository yet" if waiting else ""
    print_line(f"audit      {told['audit_lines']} lines{rest}")


def _audit_queue(told: Status, now: datetime) -> dict[str, int]:
    """How many lines the audit repository was not told yet, and the age of the oldest."""
    since = told["audit_untold_since"]
    age = int((now - datetime.fromisoformat(since)).total_seconds()) if since else 0
    return {"lines": told["audit_lines"] - told["audit_told"], "oldest_seconds": age}


def studies(
    limit: Annotated[int, typer.Option(help="How many, newest first.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the latest studies."""
    found = store_of(load(config)).queries.studies(limit)
    if as_json:
        print_json(found)
        return
    print_table(
        NOT_FOR_DIAGNOSIS,
        ["study", "last film", "films", "read", "refused", "reading", "deliveries"],
        (
            [
                row["study_instance_uid"],
                f"{row['last_received_at']:%Y-%m-%d %H:%M:%S}",
                row["instances"],
                row["read"],
                row["refused"],
                row["job"],
                _counts(row["deliveries"]),
            ]
            for row in found
        ),
    )


def show(
    study_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell the whole story of one study."""
    store = store_of(load(config))
    story = store.queries.story(study_uid)
    if story is None:
        raise NodeError(f"no study {study_uid} has come here")
    note_reader(store, "show", study_uid)
    if as_json:
        print_json(story)
    else:
        from dicom_node.cli.story import print_story

        print_story(story)


def retry(
    study_uid: Annotated[str | None, typer.Argument(help="Study; all when left out.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Wake parked readings and held deliveries, and look at destinations that are down."""
    store = store_of(load(config))
    store.breakers.hurry()
    woken = {"readings": store.jobs.retry(study_uid), "deliveries": store.outbox.retry(study_uid)}
    if as_json:
        print_json(woken)
    else:
        print_line(f"woken: {_counts(woken)}")


def discard(
    study_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Give up the parked readings and held deliveries of a study for good."""
    store = store_of(load(config))
    dropped = {
        "readings": store.jobs.discard(study_uid),
        "deliveries": store.outbox.discard(study_uid),
    }
    if not any(dropped.values()):
        raise NodeError(f"nothing of study {study_uid} is parked or held")
    if as_json:
        print_json(dropped)
    else:
        print_line(f"discarded: {_counts(dropped)}")


def reread(
    study_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read the films of a study once more, as with other networks or another configuration."""
    films = store_of(load(config)).jobs.reread(study_uid)
    if not films:
        raise NodeError(f"no film of study {study_uid} was read, or one is being read now")
    if as_json:
        print_json({"films": films})
    else:
        print_line(f"to be read again: {films} films")


def store_of(config: Config) -> Store:
    """Open the store of a folder some node has run over; looking never makes one."""
    from dicom_node.roles import utc_now
    from dicom_node.store.opening import open_store
    from dicom_node.store.status import read_status

    read_status(config.node.data_dir)
    return open_store(config.node.data_dir, utc_now)


def note_reader(store: Store, command: str, study_uid: str | None = None) -> None:
    """Write down who is about to be shown lines of the audit trail; AuditError, and none shown."""
    from dicom_node.domain import AuditEvent, AuditKind

    detail: dict[str, object] = {"command": command, "user": person()}
    store.audit.append(
        AuditEvent(kind=AuditKind.AUDIT_READ, study_instance_uid=study_uid, detail=detail)
    )


def person() -> str:
    """Login name of whoever runs this command; by number where the system knows no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
