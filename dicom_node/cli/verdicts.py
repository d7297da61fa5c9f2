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
from dicom_node.domain.clock import utc_now
from dicom_node.domain.verdicts import MOST_PER_STUDY, Fate, Finding, Source, Verdict
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.config import Config
    from dicom_node.domain.verdicts import Tally
    from dicom_node.verdicts.report import ReportReader

verdicts = typer.Typer(no_args_is_help=True, help="Verdicts: what persons found in the studies.")

RulesOption = Annotated[
    Path | None, typer.Option(help="Rule file; if omitted, verdicts.rules of the configuration.")
]

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
    path: Annotated[
        Path,
        typer.Argument(
            help="CSV (study or accession, finding, date, who), HL7 ORU messages, or their folder."
        ),
    ],
    rules: RulesOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Store the verdicts of a file or folder, which stays. Unknown studies are counted."""
    from dicom_node.store.secret import node_secret
    from dicom_node.verdicts.intake import Intake
    from dicom_node.verdicts.message_files import holds_messages, import_messages
    from dicom_node.verdicts.spreadsheet import Sheet, read_sheet

    settings = load(config)
    store, secret = store_of(settings).verdicts, node_secret(settings.node.data_dir)
    if holds_messages(path):
        sheet, intake = Sheet(), Intake(store, _reader(rules, settings), secret, utc_now)
        import_messages(path, intake)
        tally = intake.flush()
    else:
        sheet = read_sheet(path, secret, utc_now())
        tally = store.add(sheet.verdicts, unreadable=len(sheet.unreadable))
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
    file: Annotated[Path, typer.Argument(help="A report as text, or HL7 ORU messages.")],
    rules: RulesOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what the rule file makes of reports, and which rule decided. Nothing is stored."""
    from dicom_node.verdicts.message_files import try_file

    trials = try_file(file, _reader(rules, load(config)))
    if as_json:
        print_json([each.as_json() for each in trials])
        return
    for each in trials:
        opinion = each.opinion
        said = f"{opinion.finding} (by {opinion.rule})" if opinion.finding else "no verdict"
        status = f"status {each.status}: " if each.status else ""
        print_line(f"{status}{each.fault or said}")
        for mention in opinion.mentions:
            cue = f" by '{mention.cue}'" if mention.cue else ""
            print_line(f"  {mention.rule.name}: '{mention.words}' {mention.said}{cue}")


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
        Fate.UNREADABLE: "not stored: could not be read",
        Fate.UNDECIDED: "not stored: no rule made anything of the report",
        Fate.PRELIMINARY: "not stored: the report is not final",
        Fate.TOO_MANY: f"not stored: the study has verdicts of {MOST_PER_STUDY} reports",
    }
    for fate, sentence in sentences.items():
        if count := tally.fates[fate]:
            print_line(f"{count} {sentence}")


def _reader(rules: Path | None, config: Config) -> ReportReader:
    from dicom_node.verdicts.report import ReportReader
    from dicom_node.verdicts.rules import read_rules

    return ReportReader(read_rules(rules or config.verdicts.rules))
