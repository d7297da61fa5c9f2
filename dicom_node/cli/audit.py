"""The commands that read and verify the audit log."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.render import ConfigOption, JsonOption, print_json, print_line
from dicom_node.cli.studies import note_reader, person, store_of
from dicom_node.config import load
from dicom_node.errors import AuditError

if TYPE_CHECKING:
    from dicom_node.audit.checkpoints import Checkpoint
    from dicom_node.config import Config
    from dicom_node.domain.audit import AuditRecord
    from dicom_node.store.store import Store

audit = typer.Typer(no_args_is_help=True, help="Read and verify the audit log.")


@audit.command("tail")
def audit_tail(
    count: Annotated[int, typer.Option("-n", help="How many lines.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the last audit lines."""
    store = store_of(load(config))
    records = store.audit.tail(count)
    note_reader(store, "audit tail")
    _print_records(records, as_json=as_json)


@audit.command("show")
def audit_show(
    study_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the audit lines of one study."""
    store = store_of(load(config))
    records = store.audit.of_study(study_uid)
    note_reader(store, "audit show", study_uid)
    _print_records(records, as_json=as_json)


@audit.command("verify")
def audit_verify(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Walk the hash chain and its checkpoints; exit status 1 where a line was meddled with."""
    from dicom_node.audit import checkpoints

    settings = load(config)
    store = store_of(settings)
    trail = store.audit
    last, _ = trail.head()
    broken, held = _look_through(store, settings)
    problems, seen = [*broken, *held], checkpoints.count(settings)
    # Over a broken chain no checkpoint says anything of the lines before its own.
    valid = None if broken else checkpoints.last_valid_checkpoint(trail, settings)
    if as_json:
        print_json(
            {
                "ok": not problems,
                "problems": problems,
                "checkpoints": seen,
                "lines": last,
                "vouched": valid and {"line": valid.sequence, "at": valid.at},
            }
        )
    else:
        print_line("\n".join(problems) or f"the chain is whole, and as {seen} checkpoints saw it")
        print_line(_vouched(valid, last))
    if problems:
        raise typer.Exit(1)


def _vouched(valid: Checkpoint | None, last: int) -> str:
    if valid is None:
        return f"no checkpoint vouches for any of its {last} lines"
    signed = "a signed" if valid.signature else "an unsigned"
    return (
        f"lines 1 to {valid.sequence} of {last} are vouched for by {signed} checkpoint of "
        f"{valid.at[:19]}; {max(0, last - valid.sequence)} after them are only chained"
    )


def _look_through(store: Store, settings: Config) -> tuple[list[str], list[str]]:
    """Say what is wrong with the chain, and beside its checkpoints; write an alert of it."""
    from dicom_node.audit import checkpoints

    broken, held = store.audit.verify(), checkpoints.problems(store.audit, settings)
    if broken or held:
        with suppress(AuditError):  # what was found is printed, whether it can be written or not
            store.audit.append(checkpoints.alert([*broken, *held], user=person()))
    return broken, held


@audit.command("checkpoint")
def audit_checkpoint(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Write down where the chain stands; a running node does it every hour."""
    from datetime import UTC, datetime

    from dicom_node.audit import checkpoints

    settings = load(config)
    store = store_of(settings)
    broken, held = _look_through(store, settings)
    problems = [*broken, *held]
    made = checkpoints.write(store.audit, settings, datetime.now(UTC))
    path = checkpoints.folder(settings) / checkpoints.FILE_NAME
    if as_json:
        print_json(
            {"file": str(path), "sequence": made and made.sequence, "hash": made and made.hash,
             "problems": problems}
        )  # fmt: skip
    else:
        print_line(f"line {made.sequence} -> {path}" if made else f"nothing new -> {path}")
        for problem in problems:
            print_line(f"BROKEN     {problem}")
    if problems:
        raise typer.Exit(1)


@audit.command("export")
def audit_export(config: ConfigOption = None) -> None:
    """Print every audit line as JSON, one a line; the last tells of this."""
    from dicom_node.store.audit import as_json

    store = store_of(load(config))
    note_reader(store, "audit export")
    for record in store.audit.all():
        print_line(json.dumps(as_json(record)))


def _print_records(records: list[AuditRecord], *, as_json: bool) -> None:
    from dicom_node.cli.render import print_audit
    from dicom_node.store.audit import as_json as json_of

    lines = [json_of(record) for record in records]
    if as_json:
        print_json(lines)
    else:
        print_audit(lines)
