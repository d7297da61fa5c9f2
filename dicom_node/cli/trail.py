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
    """Walk the hash chain; exit status 1 where a line was edited, deleted or put in."""
    problems = store_of(load(config)).audit.verify()
    if as_json:
        print_json({"ok": not problems, "problems": problems})
    else:
        print_line("\n".join(problems) or "the chain is whole")
    if problems:
        raise typer.Exit(1)


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
