"""The cards of a site's own stages, and what is added to those of networks that stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_node.domain.paired import LEAST

if TYPE_CHECKING:
    from dicom_node.domain.paired import Comparison
    from dicom_node.domain.reading import Stage
    from models.manifest import Manifest
    from train.adapt.candidate import Site
    from train.adapt.learn import Lesson
    from train.adapt.teach import Outcome

GATE = """
## At this site

The network and all limits but one are those of the version above. The distance is measured from
this site's own training films in the new stage 2's features; its limit is {limit}.
"""

_KEPT = """
## At this site

In version {version} this network stays as it was: {why}
"""
_NEW_INPUT = """
It sees the film times the heatmap of the new stage 2. Both versions on the same films:

{rows}
"""

_TITLES: Mapping[Stage, str] = {
    "pneumonia": "Stage 2: pneumonia",
    "covid19": "Stage 3: COVID-19 or another pneumonia",
}
_INPUTS: Mapping[Stage, str] = {
    "pneumonia": "Stage 1, before it, is as it was.",
    "covid19": "It sees the film times the heatmap of this version's stage 2.",
}

_CARD = """\
# {title}, taught by one site

Written by `python -m train adapt`; do not edit.

## Model details

The network of {base}, of which only the last block and layer learned: {lesson}. Eq. 2 distilled
the old decision on a replay set of public films' features. {input}

Version {version}, weights SHA-256 `{sha256}`.

Licence: {licence}

## Intended use

Research at the site whose films taught it. **Not a medical device**: not for diagnosis, not for
deciding who is tested, treated or sent home.

## Factors

One site, its devices, patients and radiologists. At another site this version is no better than the
one it came from, and may be worse.

## Metrics

Both versions on the same films, each with its own calibration and threshold; differences with 95 %
intervals (AUC: DeLong; sensitivity, specificity: Agresti and Min; their mean), as
`dicom-node shadow report` gives them. Fewer than {least} films of a kind are too few to say.

Threshold {threshold}, temperature {temperature}, bias {bias}, from the site's validation films.

## Evaluation data

{test}, taken from {first} on, of patients without an earlier film here.

## Training data

{train}; validation {val}. The labels are the site's verdicts. No film is in this folder.

## Quantitative analyses

{rows}

## Caveats

Verdicts may be wrong, and are given for reported studies only. Films taken on one day
and later differ from those to come. A person decides on promotion, after `models.shadow` has read
new films: `dicom-node model promote`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Both versions of a stage compared on the site's newest films, and on public ones."""

    here: Comparison
    public: Comparison | None = None  # None: not measured
    sources: Sequence[str] = ()  # of the public films

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "here": self.here.as_json(),
            "public": self.public.as_json() if self.public else None,
        }

    def rows(self) -> str:
        """A table in Markdown."""
        rows = ["| films | figure | before -> after |", "|---|---|---|"]
        rows += _rows("this site, newest months", self.here)
        if self.public:
            rows += _rows(f"public ({', '.join(self.sources)}), test", self.public)
        else:
            rows += ["| public | not measured: no `--data` | |"]
        return "\n".join(rows)


def write(
    manifest: Manifest,
    site: Site,
    outcomes: Mapping[Stage, Outcome],
    measured: Mapping[Stage, Measured],
    lesson: Lesson,
    out: Path,
) -> None:
    """Write the card of each stage that learned, and add to that of one that stays.

    Parameters
    ----------
    manifest
        Of the candidate.
    site
        The site's films.
    outcomes, measured
        What became of each stage, and how it compares.
    lesson
        How the stages learned.
    out
        Models directory with the cards of the version that taught.
    """
    entries = manifest.networks.entries()
    for stage, outcome in outcomes.items():
        path = out / entries[stage].card
        if outcome.kept:
            with path.open("a", encoding="utf-8") as file:
                file.write(_KEPT.format(version=manifest.version, why=outcome.kept))
                if stage == "covid19":
                    file.write(_NEW_INPUT.format(rows=measured[stage].rows()))
        else:
            path.write_text(_card(manifest, site, stage, measured[stage], lesson), encoding="utf-8")


def _card(
    manifest: Manifest, site: Site, stage: Stage, measured: Measured, lesson: Lesson
) -> str:  # fmt: skip
    networks = manifest.networks
    entry = networks.pneumonia if stage == "pneumonia" else networks.covid19
    return _CARD.format(
        title=_TITLES[stage],
        input=_INPUTS[stage],
        base=manifest.version.split("+")[0],
        lesson=f"{lesson.steps} batches of {lesson.batch} films, seed {lesson.seed}",
        version=manifest.version,
        sha256=entry.sha256,
        licence=entry.licence,
        least=LEAST,
        threshold=entry.threshold,
        temperature=entry.temperature,
        bias=entry.bias,
        first=site.first_day,
        rows=measured.rows(),
        **_counts(site, stage),
    )


def _counts(site: Site, stage: Stage) -> dict[str, str]:
    """Split -> its films that concern the stage, in words."""
    kinds = Counter(
        (film.split, film.label) for film in site.films if film.is_ill(stage) is not None
    )
    return {
        split: ", ".join(
            f"{label} {count}" for (name, label), count in sorted(kinds.items()) if name == split
        )
        for split in ("train", "val", "test")
    }


def _rows(films: str, found: Comparison) -> list[str]:
    return [
        f"| {films}: {found.ill} ill, {found.well} others | {name} | {change or 'too few to say'} |"
        for name, change in found.changes().items()
    ]
