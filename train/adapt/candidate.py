"""Teach both stages, measure, and write a candidate version with its cards."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from torch import Tensor

from dicom_node.domain.paired import Comparison, Pair, Score, compare
from dicom_node.domain.reading import Stage
from models import registry
from models.cascade import Cascade
from models.manifest import Classifier
from models.operating import OperatingPoint
from train.adapt import card, replay_set, writing
from train.adapt.card import Measured
from train.adapt.learn import Lesson
from train.adapt.sight import network_of, see
from train.adapt.site_films import SiteFilm
from train.adapt.tail import Tail
from train.adapt.teach import Outcome, teach
from train.data.films import COVID, NORMAL

STAGES: tuple[Stage, ...] = ("pneumonia", "covid19")
#: Public films of each source and label that show what was forgotten.
_PUBLIC = 60


class NothingTaught(Exception):
    """Neither stage learned anything: there is no candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The site's films before stage 2's tail, (N, places, channels), in the order of ``films``."""

    films: Sequence[SiteFilm]
    places: Tensor
    first_day: date  # of the test


def make(
    base: Path,
    cascade: Cascade,
    site: Site,
    out: Path,
    *,
    public: Path | None = None,
    lesson: Lesson | None = None,
) -> dict[str, Any]:
    """Teach a candidate version, and write it to a models directory.

    A stage that cannot learn from the films stays as it is, and its card says why.

    Parameters
    ----------
    base
        Models directory of the version that teaches.
    cascade
        Its networks. The centre and scale of its gate are changed.
    site
        The site's films.
    out
        Models directory of the candidate.
    public
        Data folder of public films; None: the cards say nothing of them.
    lesson
        How the tails learn; None: as `Lesson` has it.

    Returns
    -------
    dict
        What the cards say, in JSON values; also in ``out/adapt.json``.

    Raises
    ------
    NothingTaught
        Both stages stay as they are; nothing was written.
    """
    lesson = lesson or Lesson()
    ill = [film for film in site.films if film.is_ill("covid19") is not None]
    second = teach(base, cascade, "pneumonia", site.films, lambda: site.places, lesson)
    newer = _with(cascade, "pneumonia", second)
    third = teach(base, newer, "covid19", ill, lambda: _seen(newer, "covid19", ill), lesson)
    outcomes: dict[Stage, Outcome] = {"pneumonia": second, "covid19": third}
    if second.kept and third.kept:
        raise NothingTaught(
            f"pneumonia stays as it is: {second.kept}\ncovid19 stays as it is: {third.kept}\n"
            "No candidate was written."
        )
    newer = _with(newer, "covid19", third)
    measured = {stage: _measured(cascade, newer, site, stage, public) for stage in STAGES}
    manifest = writing.write(base, newer, site, outcomes, out)
    card.write(manifest, site, outcomes, measured, lesson, out)
    registry.load(out)  # what a node will do with it
    result = {
        "version": manifest.version,
        "first_test_day": site.first_day.isoformat(),
        "stages": {
            stage: {"kept": outcomes[stage].kept or None, **measured[stage].as_json()}
            for stage in STAGES
        },
    }
    (out / "adapt.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _with(cascade: Cascade, stage: Stage, outcome: Outcome) -> Cascade:
    """The cascade with what a stage has become."""
    if outcome.kept:
        return cascade
    newer = copy.copy(cascade)
    network = outcome.tail.into(network_of(cascade, stage))
    point = _point(outcome.entry)
    if stage == "pneumonia":
        newer.pneumonia, newer.settings = network, replace(cascade.settings, pneumonia=point)
    else:
        newer.covid19, newer.settings = network, replace(cascade.settings, covid19=point)
    return newer


def _point(entry: Classifier) -> OperatingPoint:
    return OperatingPoint(threshold=entry.threshold, temperature=entry.temperature, bias=entry.bias)


def _seen(cascade: Cascade, stage: Stage, films: Sequence[SiteFilm]) -> Tensor:
    return see(cascade, stage, [film.path for film in films])


def _measured(
    used: Cascade, newer: Cascade, site: Site, stage: Stage, public: Path | None
) -> Measured:
    """Both versions on the site's newest films, and on public ones."""
    chosen = [
        i for i, film in enumerate(site.films)
        if film.split == "test" and film.is_ill(stage) is not None
    ]  # fmt: skip
    films = [site.films[i] for i in chosen]
    ill = [bool(film.is_ill(stage)) for film in films]
    paths = [film.path for film in films]
    places = site.places[chosen] if stage == "pneumonia" else None
    here = _compared(used, newer, stage, paths, ill, places)
    if public is None:
        return Measured(here=here)
    some = replay_set.chosen(public, "test", stage, _PUBLIC)
    ill = [film.label == COVID if stage == "covid19" else film.label != NORMAL for film in some]
    there = _compared(used, newer, stage, [film.path for film in some], ill)
    return Measured(here=here, public=there, sources=replay_set.SOURCES[stage])


def _compared(
    used: Cascade, newer: Cascade, stage: Stage, paths: Sequence[Path], ill: Sequence[bool],
    places: Tensor | None = None,
) -> Comparison:  # fmt: skip
    """Both versions on the same films, each with its own calibration and threshold.

    ``places`` is what stage 2 of both sees: what is before its tail is the same.
    """
    if not paths:
        return compare([])
    if places is None:
        places = see(used, stage, paths)
    is_alike = stage == "pneumonia" or newer.pneumonia is used.pneumonia
    other = places if is_alike else see(newer, stage, paths)
    scores = zip(_scores(used, stage, places), _scores(newer, stage, other), ill, strict=True)
    return compare(
        [
            Pair(study_instance_uid=f"film {i}", used=one, other=two, ill=truth)
            for i, (one, two, truth) in enumerate(scores)
        ]
    )


def _scores(cascade: Cascade, stage: Stage, places: Tensor) -> list[Score]:
    settings = cascade.settings
    point = settings.pneumonia if stage == "pneumonia" else settings.covid19
    logits, _ = Tail(network_of(cascade, stage)).all(places)
    said = [point.decide(logit) for logit in logits.tolist()]
    return [Score(probability=s.probability, positive=s.positive, seconds=0.0) for s in said]
