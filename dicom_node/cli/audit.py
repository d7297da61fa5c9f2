"""`audit`: read, verify and export the audit log."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_node.cli.render import (
    ConfigOption,
    JsonOption,
    SinceOption,
    moment,
    print_json,
    print_line,
    print_table,
)
from dicom_node.cli.studies import person, record_access, store_of
from dicom_node.config import load
from dicom_node.errors import StoreWriteError

if TYPE_CHECKING:
    from dicom_node.audit.checkpoints import Checkpoint
    from dicom_node.config import Config
    from dicom_node.domain.audit import AuditRecord
    from dicom_node.store.store import Store

audit = typer.Typer(no_args_is_help=True, help="Read and verify the audit log.")


@audit.command("tail")
def audit_tail(
    count: Annotated[int, typer.Option("-n", help="Number of lines.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the last audit lines."""
    store = store_of(load(config))
    records = store.audit.tail(count)
    record_access(store, "audit tail")
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
    record_access(store, "audit show", study_uid)
    _print_records(records, as_json=as_json)


@audit.command("verify")
def audit_verify(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Verify the hash chain and its checkpoints; exit status 1 if a line was tampered with."""
    from dicom_node.audit import checkpoints

    settings = load(config)
    store = store_of(settings)
    last, _ = store.audit.head()
    broken, contradicted = _verify(store, settings)
    problems, seen = [*broken, *contradicted], checkpoints.count(settings)
    # If the chain is broken, a checkpoint proves nothing about the lines before its own.
    valid = None if broken else checkpoints.last_valid_checkpoint(store.audit, settings)
    if as_json:
        print_json(
            {
                "ok": not problems,
                "problems": problems,
                "checkpoints": seen,
                "lines": last,
                "covered": valid and {"line": valid.sequence, "at": valid.at},
            }
        )
    else:
        for sentence in problems or [f"the chain is intact and agrees with {seen} checkpoints"]:
            print_line(sentence)
        print_line(_covered(valid, last))
    if problems:
        raise typer.Exit(1)


def _covered(valid: Checkpoint | None, last: int) -> str:
    if valid is None:
        return f"no checkpoint covers any of its {last} lines"
    signed = "a signed" if valid.signature else "an unsigned"
    return (
        f"lines 1 to {valid.sequence} of {last} are covered by {signed} checkpoint of "
        f"{valid.at[:19]}; {max(0, last - valid.sequence)} after them are only chained"
    )


def _verify(store: Store, settings: Config) -> tuple[list[str], list[str]]:
    """Return faults of the chain and of its checkpoints; write an alert if there are any."""
    from dicom_node.audit import checkpoints

    broken, contradicted = store.audit.verify(), checkpoints.problems(store.audit, settings)
    if broken or contradicted:
        with suppress(StoreWriteError):  # the findings are printed even if they cannot be recorded
            store.audit.append(checkpoints.alert([*broken, *contradicted], user=person()))
    return broken, contradicted


@audit.command("checkpoint")
def audit_checkpoint(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Write a checkpoint of the audit log now; a running node also writes them on schedule."""
    from datetime import UTC, datetime

    from dicom_node.audit import checkpoints

    settings = load(config)
    store = store_of(settings)
    broken, contradicted = _verify(store, settings)
    problems = [*broken, *contradicted]
    made = checkpoints.write(store.audit, settings, datetime.now(UTC))
    path = checkpoints.folder(settings) / checkpoints.FILE_NAME
    if as_json:
        print_json(
            {"file": str(path), "sequence": made and made.sequence, "hash": made and made.hash,
             "problems": problems}
        )  # fmt: skip
    else:
        print_line(f"line {made.sequence} -> {path}" if made else f"no new line -> {path}")
        for problem in problems:
            print_line(f"BROKEN     {problem}")
    if problems:
        raise typer.Exit(1)


@audit.command("report")
def audit_report(
    since: SinceOption = None, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Summarize for a data protection officer: who called, what was sent, viewed, removed.

    Exit status 1 if a line of the log was tampered with. Times are UTC.
    """
    from dicom_node.audit.summary import summarize

    settings = load(config)
    store = store_of(settings)
    at = moment(since)
    found = summarize(store.audit.all() if at is None else store.audit.since(at)).as_json()
    broken, contradicted = _verify(store, settings)
    record_access(store, "audit report")
    found["problems"] = [*broken, *contradicted]
    if as_json:
        print_json(found)
    else:
        _print_report(found)
    if found["problems"]:
        raise typer.Exit(1)


def _print_report(found: dict[str, Any]) -> None:
    if found["lines"]:
        period = f"from {found['first'][:19]} to {found['last'][:19]} UTC"
        print_line(f"{found['lines']} audit lines {period}")
    else:
        print_line("no audit line in this time")
    sent = [
        (name, f"{each['objects']} objects of {each['studies']} studies")
        for name, each in found["sent"].items()
    ]
    for title, column, rows in (
        ("Who called", "associations", found["called"].items()),
        ("Who was rejected", "associations", found["rejected"].items()),
        ("What left, and to which destination", "accepted", sent),
        ("What was looked at, and by which user", "times", found["looked_at"].items()),
        ("What was removed", "studies", found["removed"].items()),
    ):
        print_table(title, ["", column], sorted(rows) or [("nothing", "")])
    print_line(f"{found['instances_received']} instances were received")
    for problem in found["problems"]:
        print_line(f"BROKEN     {problem}")
    if not found["problems"]:
        print_line("the hash chain is intact and agrees with its checkpoints")


@audit.command("export")
def audit_export(config: ConfigOption = None) -> None:
    """Print each audit line as one line of JSON; the last one records this export."""
    from dicom_node.store.audit import as_json

    store = store_of(load(config))
    record_access(store, "audit export")
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
