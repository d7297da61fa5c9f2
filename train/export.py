"""Export trained weights as a models directory: files, thresholds and cards, all computed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models import registry
from models.cascade import Cascade
from models.registry import Backbone, Classifier, Manifest, Networks, Segmenter
from train.data.films import COVID, NORMAL, Film, LungFilm, read_films, read_lung_films
from train.data.sampler import spread_kinds
from train.evaluation import cards, engines, operating
from train.evaluation.evaluate import predict
from train.evaluation.tables import measure
from train.weights import read_state

_BACKBONES: dict[Backbone, str] = {
    "densenet121": "DenseNet-121, its last block at stride 16,",
    "efficientnet-lite0": "EfficientNet-Lite0, its maps at strides 16 and 32 joined,",
}
_NAMES = ("lungs", "pneumonia", "covid19")
#: Stage 2 is calibrated on films that radiologists read, stage 3 on all sources it learned from.
_READ = ("nih",)
#: From these stage 2's temperature comes, too.
_LEARNED = ("quex",)
#: Validation films of each source and label that calibrate.
_ENOUGH = 60
_CALIBRATED = ("nih", "quex", "ieee8023", "hannover", "bimcv")
_LICENCE = (
    "Apache-2.0 for the code; the weights are for research only, being learned from films under"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What to export."""

    version: str
    mask_margin: int | None  # network pixels, as the classifiers were trained with; None: whole
    weights: dict[str, Path]  # network -> state dict
    history: dict[str, str]  # network -> how these weights came to be
    sources: dict[str, tuple[str, ...]]  # network -> sources of its training films
    backbone: Backbone = "densenet121"
    size: int = 256  # side of the network frame, pixels
    h2_floor: float = 0.0  # as stage 3 was trained with
    without: tuple[str, ...] = ()  # sources left out of the report, to save time
    measured: bool = True  # or the cards wait for `evaluate --cards`


def export(release: Release, data: Path, out: Path, into: Path) -> dict[str, str]:
    """Export trained weights: files, thresholds, cards.

    Everything is made and verified under ``out`` first.

    Parameters
    ----------
    release
        What to export.
    data
        Folder with films and manifest: validation films give thresholds, test films the cards'
        numbers.
    out
        Folder of the run.
    into
        Models directory to write: manifest.yaml, weights/, cards/. A gate in it stays, and must be
        fitted again if the networks are others.

    Returns
    -------
    dict
        Network -> results, Markdown.

    Raises
    ------
    WeightsError
        A weight does not survive half precision.
    """
    manifest = _with_weights(release, data, out)
    cascade = _publish(manifest, out)
    manifest = _with_operating_points(manifest, cascade, data, out)
    cascade = _publish(manifest, out)
    results = dict.fromkeys(_NAMES, "Not measured yet.\n")
    if release.measured:
        results = measure(cascade, data, out, without=release.without).markdown()
        manifest = operating.with_normals_above(manifest, data, cascade, out)
        manifest = manifest.model_copy(update={"engines": engines.measured(out, data)})
        _publish(manifest, out)
    for name, entry in manifest.networks.entries().items():
        facts = _facts(release, manifest, name, data, results[name])
        (out / entry.card).write_text(
            cards.card(_words(name, manifest.backbone), facts), encoding="utf-8"
        )
    registry.identity(out)
    for part in ("weights", "cards"):
        shutil.copytree(out / part, into / part, dirs_exist_ok=True)
    registry.write_manifest(_with_gate_of(into, manifest), into)
    return results


def _with_gate_of(into: Path, manifest: Manifest) -> Manifest:
    """Keep the existing gate; it must be refitted if it was fitted to other networks."""
    if not (into / registry.MANIFEST).exists():
        return manifest
    return manifest.model_copy(update={"gate": registry.read_manifest(into).gate})


def command(without: Sequence[str]) -> str:
    """Name the command that prints a card's numbers, with these sources left out."""
    options = "".join(f" --without {source}" for source in without)
    return f"python -m train evaluate --data DIR{options}"


def _with_weights(release: Release, data: Path, out: Path) -> Manifest:
    """Weights in half precision, and a manifest with neutral thresholds."""
    for part in ("weights", "cards"):
        (out / part).mkdir(parents=True, exist_ok=True)

    def common(name: str) -> dict[str, Any]:
        file, card = f"weights/{name}.safetensors", f"cards/{name}.md"
        state = read_state(release.weights[name])
        digest = registry.save_weights(state, out / file)
        (out / card).write_text("being written\n", encoding="utf-8")
        licence = f"{_LICENCE} {_licences(release, name, data)}"
        return {"file": file, "sha256": digest, "card": card, "licence": licence}

    return Manifest(
        version=release.version,
        backbone=release.backbone,
        size=release.size,
        mask_margin=release.mask_margin,
        h2="cam",
        h2_floor=release.h2_floor,
        networks=Networks(
            lungs=Segmenter(**common("lungs"), threshold=0.5),
            pneumonia=Classifier(**common("pneumonia"), threshold=0.5, temperature=1.0),
            covid19=Classifier(**common("covid19"), threshold=0.5, temperature=1.0),
        ),
    )


def _publish(manifest: Manifest, out: Path) -> Cascade:
    registry.write_manifest(manifest, out)
    return registry.load(out)


def _with_operating_points(manifest: Manifest, cascade: Cascade, data: Path, out: Path) -> Manifest:
    """Temperatures and thresholds from the validation split, by the rules the cards state."""
    known = [f for f in read_films(data, ("val",)) if f.source in _CALIBRATED]
    both = _READ + _LEARNED
    films = spread_kinds([f for f in known if f.source in both or f.label != NORMAL], _ENOUGH)
    predictions = predict(cascade, films, out)
    read = [p for p in predictions if p.film.source in _READ]
    learned = [p for p in predictions if p.film.source in _LEARNED]
    ill = [p for p in predictions if p.film.label != NORMAL]
    pneumonia = operating.fit(
        read, [p.pneumonia for p in read], lambda f: f.label != NORMAL, also=learned
    )
    covid19 = operating.fit(ill, [p.covid19 for p in ill], lambda f: f.label == COVID)
    networks = manifest.networks
    return manifest.model_copy(
        update={
            "networks": networks.model_copy(
                update={
                    "pneumonia": _calibrated(networks.pneumonia, pneumonia),
                    "covid19": _calibrated(
                        networks.covid19, {k: v for k, v in covid19.items() if k != "points"}
                    ),
                }
            )
        }
    )


def _calibrated(entry: Classifier, found: dict[str, object]) -> Classifier:
    return Classifier.model_validate(entry.model_dump() | found)


def _words(name: str, backbone: Backbone) -> cards.Words:
    words = {"lungs": cards.LUNGS, "pneumonia": cards.PNEUMONIA, "covid19": cards.COVID19}[name]
    return replace(words, details=words.details.replace("{backbone}", _BACKBONES[backbone]))


def _facts(
    release: Release, manifest: Manifest, name: str, data: Path, results: str
) -> cards.Facts:
    entry = manifest.networks.entries()[name]
    operating = f"Threshold {entry.threshold}"
    if isinstance(entry, Classifier):
        operating += (
            f", temperature {entry.temperature}, bias {entry.bias}, for a prevalence of "
            f"{entry.prevalence}"
        )
        points = {k: v for k, v in entry.points.model_dump().items() if v is not None}
        operating += "".join(f"; {name}: {value}" for name, value in points.items())
    tested = _films(name, data, ("test", "site"))
    if name == "covid19":
        tested = [film for film in tested if getattr(film, "label", "") != NORMAL]
    tested = [film for film in tested if film.source not in release.without]
    return cards.Facts(
        version=release.version,
        history=release.history[name],
        digest=entry.sha256,
        operating=f"{operating}.",
        evaluation=f"Patients that no training saw: {_counted(tested)}.",
        training=f"{_counted(_learned(release, name, data))}.",
        results=results,
        command=command(release.without),
        licence=entry.licence,
    )


def _films(name: str, data: Path, splits: tuple[str, ...]) -> Sequence[Film | LungFilm]:
    if name == "lungs":
        return [film for film in read_lung_films(data) if film.split in splits]
    return read_films(data, splits)


def _learned(release: Release, name: str, data: Path) -> Sequence[Film | LungFilm]:
    films = [f for f in _films(name, data, ("train",)) if f.source in release.sources[name]]
    if name == "covid19":
        return [film for film in films if isinstance(film, Film) and film.label != NORMAL]
    return films


def _licences(release: Release, name: str, data: Path) -> str:
    return "; ".join(sorted({film.licence for film in _learned(release, name, data)}))


def _counted(films: Sequence[Film | LungFilm]) -> str:
    counts: dict[str, int] = {}
    for film in films:
        name = f"{film.source} {film.label}" if isinstance(film, Film) else film.source
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
