"""Manifest rows and the films behind them, as the networks see them.

A data folder holds ``cxr/manifest.csv`` (a row a film, with its label) and ``lungs/manifest.csv``
(a row a film, with its mask). Splits are given in the manifests and follow ``group_id``: a patient
together with whatever nearly duplicates one of the patient's films.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models import preprocess, unet

#: Labels as the manifests write them. Stage 2: normal against the others; stage 3: the others.
NORMAL, PNEUMONIA, COVID = "normal", "pneumonia", "covid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One labelled frontal film."""

    path: Path
    split: str
    label: str
    source: str
    subsource: str
    view: str
    group: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LungFilm:
    """One film with its lung mask; ``channel`` is the output that follows the mask's convention."""

    path: Path
    mask: Path
    split: str
    channel: int  # unet.AERATED or unet.FIELD
    source: str
    group: str
    licence: str


class Grouped(Protocol):
    """Anything with a split and a group."""

    @property
    def split(self) -> str:
        """Where it may be used."""

    @property
    def group(self) -> str:
        """What must stay together."""


def read_films(data: Path, splits: Iterable[str] = ("train", "val", "test")) -> list[Film]:
    """Read the labelled films of ``data/cxr`` in these splits, in manifest order."""
    folder, wanted = data / "cxr", set(splits)
    films = [
        Film(
            path=folder / row["path"],
            split=row["split"],
            label=row["label"],
            source=row["source"],
            subsource=row["subsource"],
            view=row["view"],
            group=row["group_id"],
            licence=row["licence"],
        )
        for row in _rows(folder / "manifest.csv")
        if row["split"] in wanted and row["label"] in (NORMAL, PNEUMONIA, COVID)
    ]
    assert_disjoint(films)
    return films


def read_lung_films(data: Path) -> list[LungFilm]:
    """Read the films with masks of ``data/lungs``, in manifest order.

    Two sources may give one patient different splits: training keeps such a patient, and the
    patient's other films are left out.
    """
    folder = data / "lungs"
    films = [
        LungFilm(
            path=folder / row["image"],
            mask=folder / row["mask"],
            split=row["split"],
            channel=unet.AERATED if row["convention"].startswith("aerated") else unet.FIELD,
            source=row["source"],
            group=row["group_id"],
            licence=row["licence"],
        )
        for row in _rows(folder / "manifest.csv")
    ]
    learned = {film.group for film in films if film.split == "train"}
    kept = [film for film in films if film.split == "train" or film.group not in learned]
    assert_disjoint(kept)
    return kept


def assert_disjoint(films: Sequence[Grouped]) -> None:
    """Raise ValueError where a group stands in more than one split."""
    splits: dict[str, set[str]] = defaultdict(set)
    for film in films:
        splits[film.group].add(film.split)
    torn = sorted(group for group, where in splits.items() if len(where) > 1)
    if torn:
        raise ValueError(f"{len(torn)} groups cross splits, the first is {torn[0]!r}.")


def load_pixels(path: Path) -> NDArray[np.float32]:
    """Load an 8-bit gray film: (H, W) float32 in [0, 1], as a DICOM one arrives too."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), dtype=np.float32) / 255.0


def load_mask(path: Path, size: int) -> NDArray[np.bool_]:
    """Load a mask into the network frame: (size, size)."""
    with Image.open(path) as picture:
        gray = picture.convert("L")
    frame = preprocess.frame_of(gray.height, gray.width, size)
    scaled = gray.resize((frame.width, frame.height), Image.Resampling.BILINEAR)
    mask = np.zeros((size, size), np.bool_)
    mask[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width] = (
        np.asarray(scaled) > 127
    )
    return mask


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)
