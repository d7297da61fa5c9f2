"""`drift` and `drift freeze`: whether the films are still like those of a reference month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_node.cli.render import (
    NOT_FOR_DIAGNOSIS,
    ConfigOption,
    JsonOption,
    moment,
    print_json,
    print_line,
    print_table,
)
from dicom_node.cli.studies import person, store_of
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.domain.drift import Shift
    from dicom_node.store.drift import Found, Reference

drift = typer.Typer(
    invoke_without_command=True,
    help="Compare the films with those of a reference month, without any verdict.",
)


@drift.callback()
def show(
    context: typer.Context,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the shares of both times into a PNG, SVG or PDF file.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare the films of the last days with those of a reference month, for each sender.

    Pneumonia scores, distance of the features from the films learned from, and gate refusals, by
    the population stability index; with fewer than 100 films "too few to say".
    """
    if context.invoked_subcommand is not None:
        return
    settings = load(config)
    found = store_of(settings).drift.look(timedelta(days=settings.drift.recent_days))
    if found is None:
        raise NodeError("there is no reference yet: dicom-node drift freeze")
    if as_json:
        print_json(_as_json(found, settings.drift.alarm))
    else:
        _print(found, settings.drift.alarm)
    if plot:
        from dicom_node.cli.drift_plot import draw  # matplotlib

        draw(found.shifts, plot)


@drift.command("freeze")
def freeze(
    since: Annotated[
        str | None,
        typer.Option(
            "--from", help="Films received from then on; drift.reference_days if omitted."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Films received before then; now if omitted.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make the films of some time the reference; senders with fewer than 100 are left out.

    Kept are counts, no film's value: the reference stays when its films are removed.
    """
    settings = load(config)
    to = moment(until, "--to") or datetime.now(UTC)
    start = moment(since, "--from") or to - timedelta(days=settings.drift.reference_days)
    made = store_of(settings).drift.freeze(start, to, person())
    if as_json:
        print_json(made.as_json())
    else:
        _print_reference(made)


def _as_json(found: Found, alarm: float) -> dict[str, Any]:
    return {
        "reference": found.reference.as_json(),
        "other_networks": found.other_networks,
        "alarm": alarm,
        "shifts": [{**each.as_json(), "is_alarm": _is_alarm(each, alarm)} for each in found.shifts],
    }


def _print(found: Found, alarm: float) -> None:
    _print_reference(found.reference)
    if found.other_networks:
        print_line(
            f"not compared: the networks {found.other_networks} are in use, and scores of other "
            "networks differ. When they have read a month: dicom-node drift freeze"
        )
        return
    print_table(
        NOT_FOR_DIAGNOSIS,
        ["sender", "measure", "films then", "now", "stability index", ""],
        (
            [
                each.sender,
                each.measure,
                each.reference.total,
                each.now.total,
                "too few to say" if each.index is None else f"{each.index:.3f}",
                f"ALARM: above {alarm:g}" if _is_alarm(each, alarm) else "",
            ]
            for each in found.shifts
        ),
    )


def _print_reference(made: Reference) -> None:
    senders = ", ".join(f"{name} ({films})" for name, films in made.as_json()["senders"].items())
    print_line(
        f"reference  films received from {made.received_from:%Y-%m-%d %H:%M} to "
        f"{made.received_to:%Y-%m-%d %H:%M} UTC, networks {made.networks['version']}: {senders}"
    )


def _is_alarm(shift: Shift, alarm: float) -> bool:
    return shift.index is not None and shift.index > alarm
