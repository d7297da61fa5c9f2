"""Teach, calibrate, refit the gate, measure, and write a candidate version with its card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from torch import Tensor

from dicom_node.domain.paired import Comparison, Pair, Score, compare
from models import registry
from models.cascade import Cascade
from models.classifier import ChestClassifier
from models.gate import fit_distance
from models.manifest import Adapted, Classifier, NormalsAbove
from models.operating import OperatingPoint
from train.adapt import card, replay_set, tail
from train.adapt.learn import Lesson, Taught, learn
from train.adapt.site_films import SiteFilm
from train.adapt.tail import Tail
from train.data.films import NORMAL, load_pixels, read_films
from train.data.sampler import spread_kinds
from train.evaluation import operating
from train.evaluation.evaluate import Prediction

#: Public films of each source and label that show what was forgotten.
_PUBLIC = 60
_PUBLIC_SOURCES = ("nih", "quex")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The site's films before the tail, (N, places, channels), in the order of ``films``."""

    films: Sequence[SiteFilm]
    places: Tensor
    first_day: date  # of the test

    def of(self, split: str) -> Taught:
        """The films of one split."""
        chosen = self.indices(split)
        ill = torch.tensor([self.films[i].ill for i in chosen])
        return Taught(places=self.places[chosen], ill=ill)

    def indices(self, split: str) -> list[int]:
        """Where the films of one split stand."""
        return [i for i, film in enumerate(self.films) if film.split == split]


def see(cascade: Cascade, paths: Sequence[Path]) -> Tensor:
    """Films by the node's own steps, up to the tail.

    Returns
    -------
    Tensor
        (N, places, channels) float16, in the order of ``paths``; see `tail.places`.
    """
    return torch.stack(
        [
            tail.places(cascade.pneumonia, cascade.mask(load_pixels(path)).masked)[0].half()
            for path in track(paths, "films")
        ]
    )


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
        Data folder of public films; None: the card says nothing of them.
    lesson
        How the tail learns; None: as `Lesson` has it.

    Returns
    -------
    dict
        What the card says, in JSON values; also in ``out/adapt.json``.

    Raises
    ------
    NoReplaySet
        There is no replay set for the networks of ``base``.
    """  # fmt: skip
    teacher = Tail(cascade.pneumonia)
    student = learn(
        teacher, site.of("train"), site.of("val"), replay_set.read(base, cascade),
        lesson or Lesson(),
    )  # fmt: skip
    student = _halved(student)
    logits, features = student.all(site.places)
    entry = _calibrated(registry.read_manifest(base).networks.pneumonia, site, logits)
    point = OperatingPoint(
        threshold=entry.threshold, temperature=entry.temperature, bias=entry.bias
    )
    used = cascade.settings.pneumonia
    before, _ = teacher.all(site.places)
    test = site.indices("test")
    ill = [site.films[i].ill for i in test]
    here = _compared(before[test], used, logits[test], point, ill)
    there = _public(cascade, teacher, student, point, public) if public else None
    digest = _write_networks(base, student.into(cascade.pneumonia), entry, out)
    gate = _gate(base, cascade, site, features, digest, out)
    manifest = _write_manifest(base, site, entry.model_copy(update={"sha256": digest}), gate, out)
    text = card.text(manifest, site, here, there, card.Learned.of(site, lesson or Lesson()))
    (out / manifest.networks.pneumonia.card).write_text(text, encoding="utf-8")
    registry.load(out)  # what a node will do with it
    result = {
        "version": manifest.version,
        "first_test_day": site.first_day.isoformat(),
        "here": here.as_json(),
        "public": there.as_json() if there else None,
    }
    (out / "adapt.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _halved(student: Tail) -> Tail:
    """The tail as the node will load it: its weights rounded to half precision."""
    rounded = {name: value.half().float() if value.is_floating_point() else value
               for name, value in student.state_dict().items()}  # fmt: skip
    student.load_state_dict(rounded)
    return student


def _calibrated(entry: Classifier, site: Site, logits: Tensor) -> Classifier:
    """Temperature, bias and thresholds from the site's validation films, as a release's are."""
    val = site.indices("val")
    predictions = [
        Prediction(film=site.films[i].as_film(), lung_area=0.0, pneumonia=0.0, covid19=0.0)
        for i in val
    ]
    found = operating.fit(predictions, logits[val].tolist(), lambda film: film.label != NORMAL)
    return Classifier.model_validate(
        entry.model_dump() | found | {"normals_above": NormalsAbove().model_dump()}
    )


def _compared(
    before: Tensor, used: OperatingPoint, after: Tensor, point: OperatingPoint, ill: Sequence[bool]
) -> Comparison:
    """Both versions on the same films, each with its own calibration and threshold."""
    return compare(
        [
            Pair(
                study_instance_uid=f"film {i}",
                used=_score(used, one),
                other=_score(point, other),
                ill=truth,
            )
            for i, (one, other, truth) in enumerate(
                zip(before.tolist(), after.tolist(), ill, strict=True)
            )
        ]
    )


def _score(point: OperatingPoint, logit: float) -> Score:
    decided = point.decide(logit)
    return Score(probability=decided.probability, positive=decided.positive, seconds=0.0)


def _public(
    cascade: Cascade, teacher: Tail, student: Tail, point: OperatingPoint, data: Path
) -> Comparison:
    films = spread_kinds(
        [film for film in read_films(data, ("test",)) if film.source in _PUBLIC_SOURCES], _PUBLIC
    )
    seen = see(cascade, [film.path for film in films])
    ill = [film.label != NORMAL for film in films]
    used = cascade.settings.pneumonia
    return _compared(teacher.all(seen)[0], used, student.all(seen)[0], point, ill)


def _write_networks(base: Path, network: ChestClassifier, entry: Classifier, out: Path) -> str:
    """Copy the version that taught, with the new stage 2; return the SHA-256 of its weights."""
    for part in ("weights", "cards"):
        shutil.copytree(base / part, out / part, dirs_exist_ok=True)
    return registry.save_weights(network.state_dict(), out / entry.file)


def _write_manifest(
    base: Path, site: Site, entry: Classifier, gate: registry.GateEntry | None, out: Path
) -> registry.Manifest:
    """Write the manifest of the version that taught, with what has changed."""
    known = registry.read_manifest(base)
    licence = f"{entry.licence}; and the site's own films, which their owner must allow"
    entry = entry.model_copy(update={"licence": licence})
    manifest = known.model_copy(
        update={
            "version": f"{known.version.split('+')[0]}+site.{site.first_day:%Y%m%d}",
            "networks": known.networks.model_copy(update={"pneumonia": entry}),
            "gate": gate,
            "adapted": Adapted(base=known.identity.digest, learned_before=site.first_day),
        }
    )
    registry.write_manifest(manifest, out)
    return manifest


def _gate(
    base: Path, cascade: Cascade, site: Site, features: Tensor, digest: str, out: Path
) -> registry.GateEntry | None:  # fmt: skip
    """Fit the gate's distance to the site's training films; the network and other limits stay.

    The limit is the rule of a release, 1.1 times the largest distance of a validation film, but
    never below the one it had.
    """
    known = registry.read_manifest(base)
    if known.gate is None or cascade.gate is None:
        return None
    network = cascade.gate.network
    network.centre, network.scale = fit_distance(features[site.indices("train")])
    distances = [cascade.gate.distance(features[i]) for i in site.indices("val")]
    limit = max(known.gate.limits.distance, round(1.1 * max(distances), 4))
    sha256 = registry.save_weights(network.state_dict(), out / known.gate.file)
    with (out / known.gate.card).open("a", encoding="utf-8") as file:
        file.write(card.GATE.format(limit=limit))
    return known.gate.model_copy(
        update={
            "sha256": sha256,
            "limits": replace(known.gate.limits, distance=limit),
            "fitted_to": known.gate.fitted_to | {"pneumonia": digest},
        }
    )
