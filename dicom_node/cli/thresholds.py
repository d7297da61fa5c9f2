"""`thresholds propose`, `adopt`, `revert` and `show`: a cut-off of the site's own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.render import (
    NOT_FOR_DIAGNOSIS,
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
from dicom_node.domain.reading import Stage
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.config import Config
    from dicom_node.domain.site_threshold import Networks, Proposal
    from dicom_node.store.store import Store

thresholds = typer.Typer(
    no_args_is_help=True, help="A threshold of the site's own, from its films with a verdict."
)

StageOption = Annotated[Stage, typer.Option(help="Of which score.")]
_SOON = "The workers start again with it within seconds; a film in progress is finished first."


@thresholds.command("propose")
def propose(  # noqa: PLR0913 - an option each
    sensitivity: Annotated[
        float | None, typer.Option(help="The highest threshold that finds this share of the ill.")
    ] = None,
    cost_ratio: Annotated[
        float | None, typer.Option(help="A missed ill study costs so many false alarms.")
    ] = None,
    prevalence: Annotated[
        float | None, typer.Option(help="Share of the ill here; that of the verdicts if omitted.")
    ] = None,
    stage: StageOption = "pneumonia",
    since: SinceOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the threshold that does what is wanted, and what it would change on the own studies.

    Changes nothing: `thresholds adopt` does. Refused with fewer than 30 ill or 30 well studies with
    a verdict, or if fewer than 3 ill studies would lie below the threshold.
    """
    from dicom_node.domain import site_threshold

    settings = load(config)
    store = store_of(settings)
    networks = _networks(store, settings)
    if networks is None:
        raise NodeError("no study was read yet")
    _, groups = store.verdicts.cases(stage, None, moment(since))
    cases = [case for group in groups.values() for case in group]
    try:
        wanted = site_threshold.Wanted(
            sensitivity=sensitivity, cost_ratio=cost_ratio, prevalence=prevalence
        )
        proposal = site_threshold.propose(cases, stage, networks, wanted)
    except site_threshold.NoThreshold as error:
        raise NodeError(str(error)) from error
    store.thresholds.propose(proposal, person())
    if as_json:
        print_json({"digest": proposal.digest, **proposal.as_json()})
    else:
        _print(proposal)


@thresholds.command("adopt")
def adopt(
    digest: Annotated[str, typer.Argument(help="Of the proposal, or its first characters.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put a proposed threshold in use, with an audit line; it never crosses model versions.

    It takes the place of `thresholds.pneumonia` or `thresholds.covid19`; overrides stay.
    """
    settings = load(config)
    store = store_of(settings)
    row = store.thresholds.adopt(digest, _networks(store, settings), person())
    if as_json:
        print_json(row)
    else:
        print_line(f"in use     {row['stage']} from {row['threshold']:.4f} on. {_SOON}")


@thresholds.command("revert")
def revert(
    stage: StageOption = "pneumonia", as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Take the adopted threshold out of use; the one before it, or the configured one, returns."""
    settings = load(config)
    store = store_of(settings)
    networks = _networks(store, settings)
    row = store.thresholds.revert(stage, networks, person())
    if row is None:
        raise NodeError(f"no threshold of {stage} was adopted for the networks in use")
    now = store.thresholds.in_use(networks).get(stage)
    if as_json:
        print_json({"left": row["threshold"], "in_use": now})
    else:
        print_line(f"left       {row['stage']} from {row['threshold']:.4f} on")
        print_line(f"in use     {'the configured one' if now is None else f'{now:.4f}'}. {_SOON}")


@thresholds.command("show")
def show(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the thresholds in use and every proposal, newest first. Times are UTC."""
    settings = load(config)
    store = store_of(settings)
    adopted = store.thresholds.in_use(_networks(store, settings))
    configured = settings.thresholds.model_dump(include={"pneumonia", "covid19"})
    rows = store.thresholds.listed()
    if as_json:
        print_json({"configured": configured, "adopted": adopted, "proposals": rows})
        return
    for stage, value in configured.items():
        site = adopted.get(stage)
        print_line(f"{stage:<11}{value if site is None else f'{site:.4f}, adopted'}")
    print_table(
        NOT_FOR_DIAGNOSIS,
        ["digest", "stage", "threshold", "networks", "proposed", "adopted", "by", "reverted"],
        (
            [
                row["digest"][:12],
                row["stage"],
                f"{row['threshold']:.4f}",
                row["networks"]["version"],
                *(
                    f"{row[name]:%Y-%m-%d %H:%M}" if row[name] else ""
                    for name in ("proposed_at", "adopted_at")
                ),
                row["adopted_by"] or row["proposed_by"],
                f"{row['ended_at']:%Y-%m-%d %H:%M}" if row["ended_at"] else "",
            ]
            for row in rows
        ),
    )


def _networks(store: Store, settings: Config) -> Networks | None:
    """The networks of the newest reading, whose scores the verdicts are compared with.

    Raises
    ------
    NodeError
        Another version was put in use since.
    """
    from dicom_node.domain.site_threshold import Networks

    found = store.verdicts.networks()
    if found is None:
        return None
    version, digests = found
    promoted = store.promotions.active()
    if promoted is not None and promoted.version != version:
        raise NodeError(f"{promoted.version} was put in use and has read no study yet")
    return Networks(version=version, digests=digests, prevalence=settings.models.prevalence)


def _print(proposal: Proposal) -> None:
    """Print the studies decided otherwise, then the figures: these stay on the screen."""
    found = proposal.found
    sides = {True: "ill", False: "well", None: "no verdict"}
    print_line(NOT_FOR_DIAGNOSIS)
    for pair in found.differ:
        now = "positive" if pair.other.positive else "negative"
        print_line(f"becomes    {now}: {pair.study_instance_uid} ({sides[pair.ill]})")
    print_line(f"threshold  {proposal.stage} {proposal.threshold:.4f}")
    print_line(f"networks   {proposal.networks.version}")
    print_line(f"verdicts   {found.ill} ill, {found.well} well, of {found.studies} studies")
    kinds = Counter(sides[pair.ill] for pair in found.differ)
    counted = ", ".join(f"{kinds[side]} {side}" for side in sides.values())
    print_line(f"differ     {len(found.differ)} studies: {counted}")
    for name, change in found.changes().items():
        if name != "auc":  # the scores are the same
            print_line(f"{name:<12}{change}")
    print_line(f"adopt      dicom-node thresholds adopt {proposal.digest[:12]}")
