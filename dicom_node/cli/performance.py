"""`performance`: how often the scores agree with the verdicts, on this node's own studies."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.render import (
    NOT_FOR_DIAGNOSIS,
    ConfigOption,
    JsonOption,
    SinceOption,
    csv_text,
    moment,
    print_json,
    print_line,
    print_table,
)
from dicom_node.cli.studies import store_of
from dicom_node.config import load
from dicom_node.domain.reading import By, Stage
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.domain.performance import Interval, Performance

_FIGURES = ("sensitivity", "specificity", "auc")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(performance)


def performance(  # noqa: PLR0913 - the options of a command
    by: Annotated[
        By | None,
        typer.Option(
            help="Group studies by sender, modality, view, decade of age or hour (UTC) of their "
            "first film; all together if omitted."
        ),
    ] = None,
    stage: Annotated[Stage, typer.Option(help="Which score.")] = "pneumonia",
    since: SinceOption = None,
    as_csv: Annotated[
        Path | None, typer.Option("--csv", help="Write CSV, one row for each group.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw ROC and reliability of each group into a PNG, SVG or PDF file."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare scores with verdicts: sensitivity, specificity, AUC, each with a 95 % interval.

    Only studies read by the networks of the newest reading count. Below 30 ill or 30 well studies
    it says "too few to say".
    """
    from dicom_node.domain.performance import measure

    version, groups = store_of(load(config)).verdicts.cases(stage, by, moment(since))
    measured = {name: measure(cases) for name, cases in groups.items()}
    if as_json:
        listed = {name: each.as_json() for name, each in measured.items()}
        print_json({"version": version, "stage": stage, "groups": listed})
    else:
        _print(by, stage, version, measured)
    if as_csv:
        _write_csv(as_csv, by, measured)
    if plot:
        from dicom_node.cli.performance_plot import draw  # matplotlib

        draw(f"{stage} score of the networks {version}", measured, plot)


def _print(by: str | None, stage: str, version: str, measured: dict[str, Performance]) -> None:
    if not measured:
        print_line("no study was read")
        return
    print_line(f"{stage} score of the networks {version}")
    print_table(
        NOT_FOR_DIAGNOSIS,
        [by or "", "studies", "without verdict", "ill / well", *_FIGURES],
        (
            [
                name, each.studies, each.missing, f"{each.ill} / {each.well}",
                *(getattr(each, figure) or "too few to say" for figure in _FIGURES),
            ]
            for name, each in measured.items()
        ),
    )  # fmt: skip
    for name, each in measured.items():
        if each.reliability:
            print_table(
                f"reliability, {name}",
                ["mean score", "share ill", "studies"],
                ([f"{p.said:.2f}", f"{p.true:.2f}", p.studies] for p in each.reliability),
            )


def _write_csv(path: Path, by: str | None, measured: dict[str, Performance]) -> None:
    columns = [f"{figure}{part}" for figure in _FIGURES for part in ("", "_low", "_high")]
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow([by or "group", "studies", "missing", "ill", "well", *columns])
            for name, each in measured.items():
                cells = [cell for figure in _FIGURES for cell in _cells(getattr(each, figure))]
                counts = each.studies, each.missing, each.ill, each.well
                table.writerow([csv_text(name), *counts, *cells])
    except OSError as error:
        raise NodeError(f"{path} cannot be written: {error}") from error


def _cells(interval: Interval | None) -> list[object]:
    return ["", "", ""] if interval is None else [interval.value, interval.low, interval.high]
