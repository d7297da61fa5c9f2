"""The card of a site's own stage 2, and what is added to the gate's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_node.domain.paired import LEAST

if TYPE_CHECKING:
    from dicom_node.domain.paired import Comparison
    from models.manifest import Manifest
    from train.adapt.candidate import Site
    from train.adapt.learn import Lesson

GATE = """
## At this site

The network and all limits but one are those of the version above. The distance is measured from
this site's own training films in the new stage 2's features; its limit is {limit}.
"""

_CARD = """\
# Stage 2: pneumonia, taught by one site

Written by `python -m train adapt`; do not edit.

## Model details

The network of {base}, of which only the last block and layer learned: {lesson}. Eq. 2 distilled
the old decision on a replay set of public films' features. Stages 1 and 3 are as they were; stage 3
sees the film times this network's heatmap, which has changed, and was not measured again.

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

| films | figure | before -> after |
|---|---|---|
{rows}

## Caveats

Verdicts may be wrong, and are given for reported studies only. Films taken on one day
and later differ from those to come. A person decides on promotion, after `models.shadow` has read
new films: `dicom-node model promote`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What taught, in words."""

    lesson: str
    counts: dict[str, str]  # split -> films

    @classmethod
    def of(cls, site: Site, lesson: Lesson) -> Learned:
        """Count the site's films."""
        kinds = Counter((film.split, film.label) for film in site.films)
        return cls(
            lesson=f"{lesson.steps} batches of {lesson.batch} films, seed {lesson.seed}",
            counts={
                split: ", ".join(
                    f"{label} {count}" for (name, label), count in sorted(kinds.items())
                    if name == split
                )
                for split in ("train", "val", "test")
            },
        )  # fmt: skip


def text(
    manifest: Manifest, site: Site, here: Comparison, there: Comparison | None, learned: Learned
) -> str:
    """Return the card of stage 2 as Markdown.

    Parameters
    ----------
    manifest
        Of the candidate.
    site
        The site's films.
    here, there
        Both versions compared on the site's newest films, and on public ones if there are any.
    learned
        What taught.
    """
    entry = manifest.networks.pneumonia
    rows = _rows("this site, newest months", here)
    rows += _rows("public (NIH, quex), test", there) if there else [
        "| public | not measured: no `--data` | |"
    ]  # fmt: skip
    return _CARD.format(
        base=manifest.version.split("+")[0],
        lesson=learned.lesson,
        version=manifest.version,
        sha256=entry.sha256,
        licence=entry.licence,
        least=LEAST,
        threshold=entry.threshold,
        temperature=entry.temperature,
        bias=entry.bias,
        first=site.first_day,
        rows="\n".join(rows),
        **learned.counts,
    )


def _rows(films: str, found: Comparison) -> list[str]:
    return [
        f"| {films}: {found.ill} ill, {found.well} well | {name} | {change or 'too few to say'} |"
        for name, change in found.changes().items()
    ]
