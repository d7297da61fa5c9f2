"""The commands that list studies, show one, and retry, discard or reread its work."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.render import (
    NOT_FOR_DIAGNOSIS,
    ConfigOption,
    JsonOption,
    counts,
    print_json,
    print_line,
    print_story,
    print_table,
)
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.config import Config
    from dicom_node.store.store import Store


def register(app: typer.Typer) -> None:
    """Hang these commands on the application."""
    for command in (studies, show, retry, discard, reread):
        app.command()(command)


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
                counts(row["deliveries"]),
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
        print_story(story)


def retry(
    study_uid: Annotated[str | None, typer.Argument(help="Study; all when left out.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Wake parked readings and held deliveries, and look at destinations that are down."""
    store = store_of(load(config))
    store.breakers.probe_now()
    woken = {"readings": store.jobs.retry(study_uid), "deliveries": store.outbox.retry(study_uid)}
    if as_json:
        print_json(woken)
    else:
        print_line(f"woken: {counts(woken)}")


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
        print_line(f"discarded: {counts(dropped)}")


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
    from dicom_node.domain.clock import utc_now
    from dicom_node.store.status import read_status
    from dicom_node.store.store import open_store

    read_status(config.node.data_dir)
    return open_store(config.node.data_dir, utc_now)


def note_reader(store: Store, command: str, study_uid: str | None = None) -> None:
    """Write down who is about to be shown lines of the audit trail; AuditError, and none shown."""
    from dicom_node.domain.audit import AuditEvent, AuditKind

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
