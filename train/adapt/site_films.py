"""The films of a node with a verdict: copied without identity, split by date and patient."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from rich.progress import track

from dicom_node import gate, pixels
from dicom_node.config import Config
from dicom_node.domain.clock import utc_now
from dicom_node.domain.reading import Stage
from dicom_node.domain.verdicts import Finding
from dicom_node.errors import NodeError, Refused
from dicom_node.store.store import Store, store_of
from models import registry
from models.cascade import Cascade
from train.data.films import COVID, NORMAL, PNEUMONIA, Film
from train.files import replacing

#: Fewer films than this, or none of a kind in a split, teach a stage nothing that could be shown.
LEAST = 100
_TEST_SHARE = 0.3  # of the films, the newest, in whole months
_VALIDATION_SHARE = 4  # every so many patients of the others
_SPLITS = ("train", "val", "test")
_KINDS: dict[Stage, tuple[str, str]] = {
    "pneumonia": ("with pneumonia", "without"),
    "covid19": ("with COVID-19", "with another pneumonia"),
}
_LABELS = {
    Finding.NORMAL: NORMAL,
    Finding.OTHER: NORMAL,  # no pneumonia: what stage 2 is asked
    Finding.PNEUMONIA: PNEUMONIA,
    Finding.COVID19: COVID,
}


class TooFew(Exception):
    """The site's verdicts do not carry a version of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFilm:
    """One film with a verdict, in a copy that names no patient."""

    path: Path
    taken: date
    group: str  # the patient, as a number within this run
    label: str
    split: str = ""

    def is_ill(self, stage: Stage) -> bool | None:
        """Whether a stage should be positive; None if the film says nothing to it."""
        if stage == "pneumonia":
            return self.label != NORMAL
        return None if self.label == NORMAL else self.label == COVID

    def as_film(self) -> Film:
        """The film as evaluation knows films."""
        return Film(
            path=self.path, split=self.split, label=self.label, source="site", subsource="",
            view="", group=self.group, licence="the site's own",
        )  # fmt: skip


def base_of(config: Config) -> Path:
    """The folder of the version in use at a node: the promoted one, else the configured one.

    Raises
    ------
    NodeError
        The node's data folder cannot be used.
    """
    with closing(_opened(config)) as store:
        promoted = store.promotions.active()
    if promoted is not None:
        return config.node.data_dir / promoted.folder
    return config.models.dir or registry.SHIPPED[config.models.version]


def export(config: Config, cascade: Cascade, out: Path) -> list[SiteFilm]:
    """Copy every film with a verdict to ``out``, as the gate would hand it to the networks.

    A copy holds pixels only, 16 bit, under a name of its own; ``films.csv`` beside them holds
    label, month and patient as a number within this run. Text that is burned into a film stays.

    Raises
    ------
    NodeError
        The node's data folder cannot be used.
    """
    with closing(_opened(config)) as store:
        films, blobs = store.queries.labelled(store.verdicts.current()), store.blobs
    patients = {name: f"P{i:05}" for i, name in enumerate(sorted({f.patient for f in films}), 1)}
    out.mkdir(parents=True, exist_ok=True)
    copied = []
    for film in track(films, "copies"):
        label = _LABELS.get(film.finding)
        name = hashlib.sha256(film.sop_instance_uid.encode()).hexdigest()[:16]
        target = out / f"{name}.png"
        if not label:
            continue
        with blobs.local(film.path) as source:
            usable = _copy(config, cascade, source, target)
        if usable:
            copied.append(
                SiteFilm(path=target, taken=film.taken, group=patients[film.patient], label=label)
            )
    return copied


def split(films: Sequence[SiteFilm]) -> tuple[list[SiteFilm], date]:
    """Give every film its split; the newest months are the test, by patients that are new there.

    Returns
    -------
    films, first
        Films with their split, without later films of a patient known from before, and the first
        day of the test.

    Raises
    ------
    TooFew
        There are fewer than `LEAST` films, or all were taken on one day.
    """
    if len(films) < LEAST:
        raise TooFew(
            f"{len(films)} films have a verdict, at least {LEAST} are needed. Nothing was trained."
        )
    first = _first_day(films)
    known = {film.group for film in films if film.taken < first}
    order = {group: i for i, group in enumerate(sorted(known))}
    kept = []
    for film in films:
        if film.taken < first:
            is_validation = order[film.group] % _VALIDATION_SHARE == 0
            kept.append(replace(film, split="val" if is_validation else "train"))
        elif film.group not in known:
            kept.append(replace(film, split="test"))
    return kept, first


def enough(films: Sequence[SiteFilm], stage: Stage) -> None:
    """Refuse films that do not carry a stage.

    Raises
    ------
    TooFew
        There are fewer than `LEAST` that say something to it, or a split has none of a kind.
    """
    ill, other = _KINDS[stage]
    counts = Counter((film.split, film.is_ill(stage)) for film in films)
    total = {kind: sum(counts[split, kind] for split in _SPLITS) for kind in (True, False)}
    if sum(total.values()) < LEAST:
        raise TooFew(
            f"{total[True]} films {ill} and {total[False]} {other} can be used, at least {LEAST} "
            "are needed."
        )
    for split in _SPLITS:
        if not counts[split, True] or not counts[split, False]:
            raise TooFew(
                f"the {split} films are all of one kind: {counts[split, True]} {ill}, "
                f"{counts[split, False]} {other}."
            )


def write_table(films: Sequence[SiteFilm], path: Path) -> None:
    """Write what was copied, without a date more exact than the month."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "split", "label", "patient", "month"])
        table.writerows(
            [film.path.name, film.split, film.label, film.group, f"{film.taken:%Y-%m}"]
            for film in films
        )


def _first_day(films: Sequence[SiteFilm]) -> date:
    """The first of a month, or a day if all films are of one month, that divides them best."""
    months = sorted({film.taken.replace(day=1) for film in films})[1:]
    days = months or sorted({film.taken for film in films})[1:]
    if not days:
        raise TooFew("all films were taken on one day: none is newer. Nothing was trained.")

    def off(day: date) -> float:
        return abs(sum(film.taken >= day for film in films) / len(films) - _TEST_SHARE)

    return min(days, key=off)


def _copy(config: Config, cascade: Cascade, source: Path, target: Path) -> bool:
    """Write one film; False if its pixels cannot be read any more."""
    if target.exists():
        return True
    try:
        image = pixels.to_image(pixels.read_dataset(source))
    except (Refused, OSError):
        return False
    if cascade.gate is not None and config.gate.enabled:
        image = gate.correct_polarity(image, cascade.gate.look(image.pixels), config.gate)
    deep = np.asarray((image.pixels * 65535.0).round(), dtype=np.uint16)
    with replacing(target) as part:
        Picture.fromarray(deep).save(part)
    return True


def _opened(config: Config) -> Store:
    if not config.node.data_dir.is_dir():
        raise NodeError(f"{config.node.data_dir} does not exist: is this the node's configuration?")
    return store_of(config, utc_now)
