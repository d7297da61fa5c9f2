"""`model promote`, `model rollback` and `model list`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.render import (
    NOT_FOR_DIAGNOSIS,
    ConfigOption,
    JsonOption,
    print_json,
    print_line,
    print_table,
)
from dicom_node.cli.studies import person, store_of
from dicom_node.config import load
from dicom_node.errors import NodeError

model = typer.Typer(no_args_is_help=True, help="Put another version of the networks in use.")

_SOON = "The workers start again with it within seconds; a film in progress is finished first."


@model.command("promote")
def promote(
    directory: Annotated[
        Path, typer.Argument(help="The candidate: manifest.yaml, weights/, cards/.")
    ],
    even_so: Annotated[
        str | None,
        typer.Option(help="Why, although the verdicts are too few, or show a loss or no gain."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put a candidate in use that read films as models.shadow and is better on verdict films.

    Refused if AUC, or the mean of sensitivity and specificity, may have fallen by more than 0.05
    (lower end of the 95 % interval of the difference) in stage 2 or 3, if none is shown to have
    risen (above 0), if a stage with another network has fewer than 30 verdicts of either kind, or
    if a file or card is missing.
    """
    from dicom_node.infer import CascadeReader, identity
    from dicom_node.service import promotion

    if even_so is not None and not even_so.strip():
        raise NodeError("--even-so needs a reason")
    settings = load(config)
    store = store_of(settings)
    models = settings.models.model_copy(update={"dir": directory})
    candidate = identity(models)
    promotion.refuse_unfit(candidate, settings, store.promotions.active())
    CascadeReader(models, settings.workers.threads).warm_up()
    offered = promotion.Offered(
        directory=directory,
        identity=candidate,
        identify=lambda folder: identity(models.model_copy(update={"dir": folder})),
    )
    found = promotion.promote(
        store, settings.node.data_dir, offered, user=person(), even_so=even_so
    )
    if as_json:
        print_json({"version": candidate.version, "digest": candidate.digest, **found.as_json()})
        return
    for stage, one in found.stages.items():
        for name, change in one.changes().items():
            print_line(f"{stage:<10} {name:<12}{change or 'too few to say'}")
    print_line(f"promoted   {candidate.version}, digest {candidate.digest[:12]}. {_SOON}")


@model.command("rollback")
def rollback(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Take the promoted version out of use; the one before it, or the configured one, returns."""
    store = store_of(load(config))
    left = store.promotions.roll_back(person())
    if left is None:
        raise NodeError("no version was promoted: the configured one is in use")
    now = store.promotions.active()
    if as_json:
        print_json({"left": left.version, "in_use": now and now.version})
    else:
        print_line(f"left       {left.version}")
        print_line(f"in use     {now.version if now else 'the configured version'}. {_SOON}")


@model.command("list")
def listed(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List every promotion, newest first; the newest not rolled back is in use. Times are UTC."""
    rows = store_of(load(config)).promotions.listed()
    if as_json:
        print_json(rows)
        return
    print_table(
        NOT_FOR_DIAGNOSIS,
        ["version", "digest", "promoted", "by", "even so", "rolled back"],
        (
            [
                row["model_version"],
                row["model_digest"][:12],
                f"{row['promoted_at']:%Y-%m-%d %H:%M}",
                row["promoted_by"],
                row["reason"] or "",
                f"{row['ended_at']:%Y-%m-%d %H:%M}" if row["ended_at"] else "",
            ]
            for row in rows
        ),
    )
