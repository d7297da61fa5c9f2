"""`verdict` and `verdicts`: what persons found in the studies."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from dicom_node.cli.studies import person, store_of
from dicom_node.config import load
from dicom_node.domain.verdicts import Fate, Finding, Source, Verdict
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.domain.verdicts import Tally

verdicts = typer.Typer(no_args_is_help=True, help="Verdicts: what persons found in the studies.")

RulesOption = Annotated[
    Path | None, typer.Option(help="Rule file; if omitted, verdicts.rules of the configuration.")
]

_LARGEST_FILE = 2**20  # bytes of a report
_SHOWN_LINES = 10  # of a file that could not be read


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(verdict)
    app.add_typer(verdicts, name="verdicts")


def verdict(
    study_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    finding: Annotated[Finding, typer.Argument(help="What was found.")],
    at: Annotated[
        str | None, typer.Option(help="When: 2026-01-31 or with time, UTC; now if omitted.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Who: a number or login; yours if omitted.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Store a verdict on a study; a later one supersedes it."""
    given = Verdict(
        finding=finding,
        source=Source.COMMAND,
        given_at=moment(at, "--at") or datetime.now(UTC),
        given_by=by or person(),
        study_instance_uid=study_uid,
    )
    tally = store_of(load(config)).verdicts.add([given])
    if tally.fates[Fate.UNKNOWN]:
        raise NodeError(f"study {study_uid} was never received, or has been removed")
    if as_json:
        print_json(tally.as_json())
    else:
        print_line(f"{finding}: {'stored' if tally.fates[Fate.STORED] else 'stored already'}")


@verdicts.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV: study or accession, finding, date, who.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Store the verdicts of a CSV file. Unknown studies are counted; they stop nothing."""
    from dicom_node.store.secret import node_secret
    from dicom_node.verdicts.spreadsheet import read_sheet

    settings = load(config)
    store = store_of(settings)
    sheet = read_sheet(file, node_secret(settings.node.data_dir), datetime.now(UTC))
    tally = store.verdicts.add(sheet.verdicts, unreadable=len(sheet.unreadable))
    if as_json:
        lines = [{"line": number, "reason": reason} for number, reason in sheet.unreadable]
        print_json({**tally.as_json(), "unreadable_lines": lines})
        return
    print_tally(tally)
    for number, reason in sheet.unreadable[:_SHOWN_LINES]:
        print_line(f"line {number}: {reason}")
    if more := len(sheet.unreadable[_SHOWN_LINES:]):
        print_line(f"and {more} more lines; --json lists them")


@verdicts.command("try")
def try_rules(
    file: Annotated[Path, typer.Argument(help="A report as text.")],
    rules: RulesOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what the rule file makes of a report, and which rule decided. Nothing is stored."""
    from dicom_node.verdicts.report import ReportReader
    from dicom_node.verdicts.rules import read_rules

    opinion = ReportReader(read_rules(rules or load(config).verdicts.rules)).read(_text_of(file))
    if as_json:
        print_json(opinion.as_json())
        return
    print_line(f"{opinion.finding} (by {opinion.rule})" if opinion.finding else "no verdict")
    for each in opinion.mentions:
        cue = f" by '{each.cue}'" if each.cue else ""
        print_line(f"  {each.rule.name}: '{each.words}' {each.said}{cue}")


@verdicts.command("list")
def list_verdicts(
    limit: Annotated[int, typer.Option(help="Number of verdicts, newest first.")] = 20,
    since: SinceOption = None,
    study: Annotated[str | None, typer.Option(help="Only of this Study Instance UID.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the newest verdicts. Times are UTC."""
    found = store_of(load(config)).verdicts.listed(limit, since=moment(since), study=study)
    if as_json:
        print_json(found)
        return
    print_table(
        "verdicts",
        ["study", "finding", "given (UTC)", "by", "source", ""],
        (
            [
                row["study_instance_uid"],
                row["finding"],
                f"{row['given_at']:%Y-%m-%d %H:%M}",
                row["given_by"],
                row["source"],
                "superseded" if row["superseded"] else "",
            ]
            for row in found
        ),
    )


def print_tally(tally: Tally) -> None:
    """Print what became of many verdicts, a line for each fate that occurred."""
    sentences = {
        Fate.STORED: "stored",
        Fate.SAME: "were stored already",
        Fate.UNKNOWN: "not stored: this node does not have the study",
        Fate.AMBIGUOUS: "not stored: several studies have the accession number",
    }
    for fate, sentence in sentences.items():
        if count := tally.fates[fate]:
            print_line(f"{count} {sentence}")
    if tally.unreadable:
        print_line(f"{tally.unreadable} not stored: could not be read")


def _text_of(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_LARGEST_FILE).decode("utf-8", errors="replace")
    except OSError as error:
        raise NodeError(f"{file} cannot be read: {error.strerror}") from error
