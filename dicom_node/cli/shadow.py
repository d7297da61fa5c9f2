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
    from collections.abc import Mapping

    from dicom_node.domain.evidence import Evidence
    from dicom_node.domain.paired import Comparison
    from dicom_node.domain.reading import Stage

#: Of each stage: its title, and what a verdict calls the two sides.
_WORDS: dict[Stage, tuple[str, dict[bool | None, str]]] = {
    "pneumonia": ("stage 2", {True: "pneumonia", False: "normal"}),
    "covid19": ("stage 3, where both called the film ill", {True: "COVID-19", False: "other"}),
}

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
    from dicom_node.domain.evidence import weigh  # numpy: other commands start without it

    store = store_of(load(config))
    candidate = store.shadow.latest()
    if candidate is None:
        raise NodeError("no candidate has read a film: set models.shadow and restart the node")
    pairs = store.shadow.pairs(candidate, store.verdicts.current(), moment(since))
    found = weigh(pairs)
    if as_json:
        print_json({"candidate": candidate.as_json(), **found.as_json()})
    else:
        print_line(f"candidate  {candidate.version}, digest {candidate.digest[:12]}")
        print_evidence(found)


def print_evidence(found: Evidence) -> None:
    """Print both stages, and what speaks against the other version."""
    from dicom_node.domain.evidence import objections

    for stage, one in found.stages.items():
        title, sides = _WORDS[stage]
        print_line(title)
        _print_comparison(one, sides)
    for sentence in objections(found) or ["the candidate is better on these studies"]:
        print_line(f"verdict    {sentence}")


def _print_comparison(found: Comparison, sides: Mapping[bool | None, str]) -> None:
    """Print the studies that differ, then the figures, or that there are too few to say."""
    from dicom_node.domain.paired import LEAST

    print_table(
        NOT_FOR_DIAGNOSIS,
        ["study", "in use", "candidate", "verdict"],
        (
            [
                pair.study_instance_uid,
                _decision(pair.used.probability, positive=pair.used.positive),
                _decision(pair.other.probability, positive=pair.other.positive),
                sides.get(pair.ill, ""),
            ]
            for pair in found.differ
        ),
    )
    print_line(f"compared   {found.studies} studies, {len(found.differ)} decided differently")
    print_line(f"verdicts   {found.ill} {sides[True]}, {found.well} {sides[False]}")
    for name, change in found.changes().items():
        print_line(
            f"{name:<12}{change or f'too few to say: {LEAST} verdicts of each kind are needed'}"
        )
    for name, p in ((sides[True], found.p_ill), (sides[False], found.p_well)):
        if p is not None:
            print_line(f"McNemar    p = {p:.3g} ({name})")
    if found.seconds:
        used, other = found.seconds
        print_line(f"time       {used:.2f} s -> {other:.2f} s, the median of a study")


def _decision(probability: float, *, positive: bool) -> str:
    return f"{probability:.0%} {'positive' if positive else 'negative'}"
