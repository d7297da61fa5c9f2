"""Options and output that the commands share: JSON for programs, text for people."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_node.domain.reading import ReadingSummary
from dicom_node.domain.values import BACKFILL
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.text import Text

    from dicom_node.domain.reading import StageSummary
    from dicom_node.domain.timeline import Step

NOT_FOR_DIAGNOSIS = "Research software, not a medical device: NOT FOR DIAGNOSTIC USE."

_PIPED_WIDTH = 160  # characters, if the output is not a terminal

_SHOWN_DETAIL = 100  # characters of an audit line's detail; --json prints all

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="DICOM_NODE_CONFIG", help="Configuration file."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

SinceOption = Annotated[
    str | None,
    typer.Option(
        help="From this time on: 12h or 7d (ago), 2026-01-31 or 2026-01-31T08:00+01:00 (else UTC)."
    ),
]
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str | None, option: str = "--since") -> datetime | None:
    """Parse an option such as `--since`: a time ago, or a date with or without time.

    It is UTC if it has no offset.

    Raises
    ------
    NodeError
        It is neither.
    """
    if text is None:
        return None
    if text[-1:] in _UNITS and text[:-1].isdecimal():
        return datetime.now(UTC) - timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise NodeError(f"{option} {text}: write 12h, 7d or a date as 2026-01-31") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def print_json(value: object) -> None:
    """Print a JSON document, in ASCII, so that no character acts on a terminal."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, ReadingSummary):
        return value.as_json()
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, lines: bool = True
) -> None:
    """Print a table for people; cells are data and are never interpreted.

    Without ``lines`` between its columns it is narrower.
    """
    from rich.box import HEAVY_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    box = HEAVY_HEAD if lines else None
    table = Table(header_style="bold", box=box, pad_edge=lines)
    for column in columns:
        table.add_column(column, overflow="fold")  # UIDs are never cut
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    console = Console(width=width)
    if title:  # not the table's own, which is folded to the table's width
        console.print(Text(title, style="italic"))
    console.print(table)


def _cell(value: object) -> Text:
    """A cell as `Text`, which is not markup; the items of a list are its lines."""
    from rich.text import Text

    lines = value if isinstance(value, list) else ["" if value is None else value]
    return Text("\n".join(printable(str(line)) for line in lines))


def print_line(text: str) -> None:
    """Print one line on standard output."""
    sys.stdout.write(printable(text) + "\n")


def printable(text: str) -> str:
    r"""Escape what a terminal acts on: control and bidirectional characters become ``\x1b``."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def csv_text(text: str) -> str:
    """A peer's word as a cell of a CSV file: no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def probability(stage: StageSummary | None) -> str:
    """A stage's result as ``0.91 (>= 0.50 sensitive)``; empty if the stage did not run."""
    if stage is None:
        return ""
    sign = ">=" if stage.positive else "<"
    point = f" {stage.point}" if stage.point else ""
    return f"{stage.probability:.2f} ({sign} {stage.threshold:.2f}{point})"


def counts(by_name: Mapping[str, int]) -> str:
    """Counts by name on one line; ``none`` if there are none."""
    return ", ".join(f"{count} {name}" for name, count in sorted(by_name.items())) or "none"


def print_study(study: Mapping[str, Any]) -> None:
    """Print films, results with their deliveries, and the audit lines of one study."""
    print_line(f"study {study['study_instance_uid']}, revision {study['revision']}")
    print_table(
        NOT_FOR_DIAGNOSIS,
        ["film", "received (UTC)", "from", "decision", "pneumonia", "COVID-19"],
        (_film(instance) for instance in study["instances"]),
    )
    for conflict in study["conflicts"]:
        print_line(_conflict(conflict, study["study_instance_uid"]))
    for job in study["jobs"]:
        reason = f": {job['last_reason']}" if job["last_reason"] else ""
        print_line(f"reading {job['revision']}: {job['status']}, attempt {job['attempt']}{reason}")
    print_table(
        "results",
        ["object", "kind", "series", "deliveries"],
        (
            [
                result["sop_instance_uid"],
                result["modality"],
                result["series_description"],
                list(map(_delivery, result["deliveries"])),
            ]
            for result in study["results"]
        ),
    )
    print_audit(study["audit"])


def print_timeline(steps: Sequence[Step]) -> None:
    """Print where a study's time went, from its last film to the last answer."""
    if steps:
        rows = ([step.name, f"{step.seconds:.3f}", f"{step.at:.3f}"] for step in steps)
        print_table("time from the last film on", ["step", "took (s)", "done at (s)"], rows)


def print_audit(lines: Iterable[Mapping[str, Any]]) -> None:
    """Print audit lines with a shortened detail."""
    print_table(
        "audit",
        ["#", "at (UTC)", "kind", "detail"],
        (
            [line["sequence"], line["at"][:19], line["kind"], _short(line["detail"])]
            for line in lines
        ),
    )


def _conflict(conflict: Mapping[str, Any], study: str) -> str:
    """A sentence about two objects under one SOP Instance UID."""
    first, second = conflict["kept_study_instance_uid"], conflict["study_instance_uid"]
    other = "" if first == second else f" in study {first if second == study else second}"
    return (
        f"CONFLICT   two objects under {conflict['sop_instance_uid']}{other}: the second, "
        f"{conflict['received_at']:%Y-%m-%d %H:%M:%S} from {conflict['calling_ae_title']}, "
        f"{conflict['outcome']}"
    )


def _film(instance: Mapping[str, Any]) -> list[object]:
    reading: ReadingSummary | None = instance["reading"]
    decision = instance["decision"]
    if instance["refusal_code"]:
        decision = f"{instance['refusal_code']}: {instance['refusal_reason']}"
    elif reading and reading.polarity:
        decision = f"{decision}, polarity: {reading.polarity}"
    return [
        instance["sop_instance_uid"],
        f"{instance['received_at']:%Y-%m-%d %H:%M:%S}",
        instance["calling_ae_title"] + (" (backfill)" if instance["priority"] == BACKFILL else ""),
        decision,
        probability(reading.pneumonia if reading else None),
        probability(reading.covid19 if reading else None),
    ]


def _delivery(delivery: Mapping[str, Any]) -> str:
    note = delivery["last_reason"]
    if delivery["committed_by"]:
        note = f"{delivery['committed_at']:%Y-%m-%d %H:%M:%S}, by {delivery['committed_by']}"
    reason = f" ({note})" if note else ""
    return f"{delivery['destination']}: {delivery['status']}{reason}"


def _short(detail: object) -> str:
    text = json.dumps(detail)
    return text if len(text) <= _SHOWN_DETAIL else text[: _SHOWN_DETAIL - 1] + "…"
