"""`stats`: films, results and delays by day, week or sender."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dicom_node.cli.render import (
    NOT_FOR_DIAGNOSIS,
    ConfigOption,
    JsonOption,
    SinceOption,
    counts,
    csv_text,
    moment,
    print_json,
    print_table,
)
from dicom_node.cli.studies import store_of
from dicom_node.config import load
from dicom_node.domain.reading import Grouping


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(stats)


def stats(
    by: Annotated[Grouping, typer.Option(help="What to group films by; days are UTC.")] = "day",
    since: SinceOption = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, one row for each group.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the figures into this file: .png, .svg or .pdf.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Count films, refusals and results; measure the time from reception to commitment.

    Studies that retention has removed are not counted.
    """
    groups = store_of(load(config)).queries.figures(by, moment(since))
    listed = {name: group.as_json() for name, group in groups.items()}
    if plot is not None:
        from dicom_node.cli.plots import draw

        draw(by, listed, plot)
    if as_json:
        print_json(listed)
    elif as_csv:
        _print_csv(by, listed)
    else:
        print_table(
            NOT_FOR_DIAGNOSIS,
            [
                by if by == "sender" else f"{by} (UTC)",
                "films",
                "backfill",
                "read",
                "refused",
                "above / near / below",
                "received to committed",
            ],
            ([name, *_cells(group)] for name, group in listed.items()),
        )


def _cells(group: dict[str, Any]) -> list[object]:
    return [
        group["films"],
        group["backfilled"],
        group["read"],
        counts(group["refused"]),
        f"{group['above']} / {group['near']} / {group['below']}",
        [
            f"{name}: {each['committed']}, p50 {each['p50_seconds']:.0f} s, "
            f"p95 {each['p95_seconds']:.0f} s"
            for name, each in group["destinations"].items()
        ],
    ]


def _print_csv(by: str, groups: dict[str, dict[str, Any]]) -> None:
    """A column for each refusal code and each destination that occurs."""
    codes = sorted({code for group in groups.values() for code in group["refused"]})
    names = sorted({name for group in groups.values() for name in group["destinations"]})
    figures = ("committed", "p50_seconds", "p95_seconds")
    table = csv.writer(sys.stdout)
    table.writerow(
        [by, "films", "backfilled", "read", "above", "near", "below"]
        + [f"refused_{code}" for code in codes]
        + [f"{name}_{figure}" for name in names for figure in figures]
    )
    for title, group in groups.items():
        counted = ("films", "backfilled", "read", "above", "near", "below")
        row = [csv_text(title), *(group[key] for key in counted)]
        row += [group["refused"].get(code, 0) for code in codes]
        destinations = group["destinations"]
        row += [destinations.get(name, {}).get(figure, "") for name in names for figure in figures]
        table.writerow(row)
