"""The commands that read and verify the audit log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.operate import store_of
from dicom_node.cli.output import ConfigOption, JsonOption, print_json, print_line
from dicom_node.config import load

if TYPE_CHECKING:
    from dicom_node.domain import AuditRecord

audit = typer.Typer(no_args_is_help=True, help="Read and verify the audit log.")


@audit.command("tail")
def audit_tail(
    count: Annotated[int, typer.Option("-n", help="How many lines.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the last audit lines."""
    _print_records(store_of(load(config)).audit.tail(count), as_json=as_json)


@audit.command("show")
def audit_show(
    study_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the audit lines of one study."""
    _print_records(store_of(load(config)).audit.of_study(study_uid), as_json=as_json)


@audit.command("verify")
def audit_verify(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Walk the hash chain and its checkpoints; exit status 1 where a line was meddled with."""
    from dicom_node import checkpoints

    settings = load(config)
    trail = store_of(settings).audit
    problems = [*trail.verify(), *checkpoints.problems(trail, settings)]
    seen = checkpoints.count(settings)
    if as_json:
        print_json({"ok": not problems, "problems": problems, "checkpoints": seen})
    else:
        print_line("\n".join(problems) or f"the chain is whole, and as {seen} checkpoints saw it")
    if problems:
        raise typer.Exit(1)


@audit.command("checkpoint")
def audit_checkpoint(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Write down where the chain stands; a running node does it every hour."""
    from datetime import UTC, datetime

    from dicom_node import checkpoints

    settings = load(config)
    made = checkpoints.write(store_of(settings).audit, settings, datetime.now(UTC))
    path = checkpoints.folder(settings) / checkpoints.FILE_NAME
    if as_json:
        print_json(
            {"file": str(path), "sequence": made and made.sequence, "hash": made and made.hash}
        )
    else:
        print_line(f"line {made.sequence} -> {path}" if made else f"nothing new -> {path}")


@audit.command("export")
def audit_export(config: ConfigOption = None) -> None:
    """Print every audit line as JSON, one a line."""
    from dicom_node.store.audit import as_json

    for record in store_of(load(config)).audit.all():
        print_line(json.dumps(as_json(record)))


def _print_records(records: list[AuditRecord], *, as_json: bool) -> None:
    from dicom_node.cli.story import print_audit
    from dicom_node.store.audit import as_json as json_of

    lines = [json_of(record) for record in records]
    if as_json:
        print_json(lines)
    else:
        print_audit(lines)
