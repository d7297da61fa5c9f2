"""The files of a candidate: networks, gate and manifest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from dicom_node.domain.reading import Stage
from models import registry
from models.cascade import Cascade
from models.gate import Gate, fit_distance
from models.manifest import Adapted, Classifier, GateEntry, Manifest
from train.adapt import card
from train.adapt.sight import network_of
from train.adapt.teach import Outcome

if TYPE_CHECKING:
    from train.adapt.candidate import Site

_OWN_FILMS = "; and the site's own films, which their owner must allow"


def write(
    base: Path, newer: Cascade, site: Site, outcomes: Mapping[Stage, Outcome], out: Path
) -> Manifest:
    """Copy the version that taught, put what has learned into the copy, and write its manifest.

    Parameters
    ----------
    base
        Models directory of the version that taught.
    newer
        The networks of the candidate. The centre and scale of the gate are changed.
    site
        The films that taught.
    outcomes
        What became of each stage.
    out
        Models directory of the candidate; its cards are still those of ``base``.
    """
    known = registry.read_manifest(base)
    for part in ("weights", "cards"):
        shutil.copytree(base / part, out / part, dirs_exist_ok=True)
    entries: dict[str, Classifier] = {stage: each.entry for stage, each in outcomes.items()}
    for stage, outcome in outcomes.items():
        if not outcome.kept:
            entry, weights = outcome.entry, network_of(newer, stage).state_dict()
            digest = registry.save_weights(weights, out / entry.file)
            licence = entry.licence.removesuffix(_OWN_FILMS) + _OWN_FILMS
            entries[stage] = entry.model_copy(update={"sha256": digest, "licence": licence})
    gate, second = known.gate, outcomes["pneumonia"]
    if gate is not None and newer.gate is not None and not second.kept:
        _, features = second.tail.all(site.places)
        gate = _refitted(gate, newer.gate, site, features, out)
        fitted_to = gate.fitted_to | {"pneumonia": entries["pneumonia"].sha256}
        gate = gate.model_copy(update={"fitted_to": fitted_to})
    manifest = known.model_copy(
        update={
            "version": f"{known.version.split('+')[0]}+site.{site.first_day:%Y%m%d}",
            "networks": known.networks.model_copy(update=entries),
            "gate": gate,
            "adapted": Adapted(base=known.identity.digest, learned_before=site.first_day),
        }
    )
    registry.write_manifest(manifest, out)
    return manifest


def _refitted(entry: GateEntry, gate: Gate, site: Site, features: Tensor, out: Path) -> GateEntry:
    """Fit the gate's distance to the site's training films; the network and other limits stay.

    The limit is the rule of a release, 1.1 times the largest distance of a validation film, but
    never below the one it had.
    """
    splits = [film.split for film in site.films]
    train, val = ([i for i, each in enumerate(splits) if each == name] for name in ("train", "val"))
    gate.network.centre, gate.network.scale = fit_distance(features[train])
    distances = [gate.distance(features[i]) for i in val]
    limit = max(entry.limits.distance, round(1.1 * max(distances), 4))
    sha256 = registry.save_weights(gate.network.state_dict(), out / entry.file)
    with (out / entry.card).open("a", encoding="utf-8") as file:
        file.write(card.GATE.format(limit=limit))
    return entry.model_copy(
        update={"sha256": sha256, "limits": replace(entry.limits, distance=limit)}
    )
