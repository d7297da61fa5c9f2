"""`shadow report`: what the candidate of `models.shadow` would have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from dicom_node.cli.studies import store_of
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.domain.paired import Comparison

shadow = typer.Typer(no_args_is_help=True, help="Compare a candidate with the networks in use.")


@shadow.callback()
def _group() -> None:
    """Keep `report` a command of its own."""


@shadow.command("report")
def report(
    since: SinceOption = None, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Show where the candidate decides otherwise, and whether it is better on verdict films.

    Films that the candidate may have learned from are left out.
    """
    from dicom_node.domain.paired import compare  # numpy: other commands start without it

    store = store_of(load(config))
    candidate = store.shadow.latest()
    if candidate is None:
        raise NodeError("no candidate has read a film: set models.shadow and restart the node")
    pairs = store.shadow.pairs(candidate, store.verdicts.current(), moment(since))
    found = compare(pairs)
    if as_json:
        print_json({"candidate": candidate.as_json(), **found.as_json()})
    else:
        print_line(f"candidate  {candidate.version}, digest {candidate.digest[:12]}")
        print_comparison(found)


def print_comparison(found: Comparison) -> None:
    """Print the studies that differ, then the figures, or that there are too few to say."""
    from dicom_node.domain.paired import LEAST, objections

    print_table(
        NOT_FOR_DIAGNOSIS,
        ["study", "in use", "candidate", "verdict"],
        (
            [
                pair.study_instance_uid,
                _decision(pair.used.probability, positive=pair.used.positive),
                _decision(pair.other.probability, positive=pair.other.positive),
                {True: "pneumonia", False: "normal", None: ""}[pair.ill],
            ]
            for pair in found.differ
        ),
    )
    print_line(f"compared   {found.studies} studies, {len(found.differ)} decided differently")
    print_line(f"verdicts   {found.ill} with pneumonia, {found.well} normal")
    for name, change in found.changes().items():
        print_line(
            f"{name:<12}{change or f'too few to say: {LEAST} verdicts of each kind are needed'}"
        )
    for name, p in (("pneumonia", found.p_ill), ("normal", found.p_well)):
        if p is not None:
            print_line(f"McNemar    p = {p:.3g} ({name})")
    if found.seconds:
        used, other = found.seconds
        print_line(f"time       {used:.2f} s -> {other:.2f} s, the median of a study")
    for sentence in objections(found) or ["the candidate is better on these studies"]:
        print_line(f"verdict    {sentence}")


def _decision(probability: float, *, positive: bool) -> str:
    return f"{probability:.0%} {'positive' if positive else 'negative'}"
