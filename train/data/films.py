"""The films of a data folder's manifest, as the networks see them.

Splits are given in the manifest and follow its groups: a patient together with whatever nearly
duplicates one of the patient's films.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models import preprocess, unet
from train.data import manifest
from train.data.image_io import load_pixels
from train.data.manifest import AERATED, COVID, NORMAL, NOT_NORMAL, PNEUMONIA, TEXT

__all__ = ["COVID", "LABELS", "NORMAL", "NOT_NORMAL", "PNEUMONIA", "TEXT", "Film", "LungFilm",
           "assert_disjoint", "load_mask", "load_pixels", "read_films", "read_lung_films",
           "refuse_mined"]  # fmt: skip

#: The labels that stages 2 and 3 are trained and measured with.
LABELS = (NORMAL, PNEUMONIA, COVID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One labelled frontal film; its fields are those of `manifest.Row`, with whole paths."""

    path: Path
    split: str
    label: str
    source: str
    subsource: str
    view: str
    group: str
    licence: str
    radiologist: str = ""
    age: str = ""  # years
    sex: str = ""
    infection: Path | None = None  # a mask that people drew


@dataclass(frozen=True, slots=True, kw_only=True)
class LungFilm:
    """One film with its lung mask; ``channel`` is the output that follows the mask's convention."""

    path: Path
    masks: tuple[Path, ...]  # joined
    split: str
    channel: int  # unet.AERATED or unet.FIELD
    source: str
    group: str
    licence: str
    label: str = ""


class Grouped(Protocol):
    """Anything with a split and a group."""

    @property
    def split(self) -> str:
        """Where it may be used."""

    @property
    def group(self) -> str:
        """What must stay together."""


def refuse_mined(labels: Iterable[str], purpose: str) -> None:
    """Refuse labels that were mined from report text.

    Of the films that text calls pneumonia and radiologists read, fewer than half show an opacity.

    Raises
    ------
    ValueError
        One of the labels is; the message names it and the purpose.
    """
    for label in labels:
        if label.startswith(TEXT):
            raise ValueError(
                f"{purpose} asks for {label!r}: labels mined from report text train, select and "
                "measure nothing in stages 2 and 3."
            )


def read_films(
    data: Path,
    splits: Iterable[str] = ("train", "val", "test"),
    labels: Iterable[str] | None = LABELS,
) -> list[Film]:
    """Read the labelled films of a data folder, in manifest order.

    Parameters
    ----------
    data
        Folder with a manifest, see `train.data.manifest`.
    splits
        Only films of these splits.
    labels
        Only films with these labels. None: films of any label, which only teachers may see; their
        labels say nothing.

    Raises
    ------
    ValueError
        A group is in more than one of the splits.
    FileNotFoundError
        The folder holds no manifest.
    """
    wanted, known = set(splits), None if labels is None else set(labels)
    films = [
        Film(
            path=data / row.path,
            split=row.split,
            label=row.label,
            source=row.source,
            subsource=row.subsource,
            view=row.view,
            group=row.group,
            licence=row.licence,
            radiologist=row.radiologist,
            age=row.age,
            sex=row.sex,
            infection=data / row.infection_mask if row.infection_mask else None,
        )
        for row in manifest.read(data)
        if row.split in wanted and (known is None or row.label in known) and not row.mask
    ]
    assert_disjoint(films)
    return films


def read_lung_films(data: Path) -> list[LungFilm]:
    """Read the films with lung masks of a data folder, in manifest order.

    Two sources may give one patient different splits: training keeps such a patient, and the
    patient's other films are left out.

    Raises
    ------
    ValueError
        A group that does not train is in more than one split.
    FileNotFoundError
        The folder holds no manifest.
    """
    films = [
        LungFilm(
            path=data / row.path,
            masks=tuple(data / mask for mask in row.mask.split("|")),
            split=row.split,
            channel=unet.AERATED if row.convention.startswith(AERATED) else unet.FIELD,
            source=row.source,
            group=row.group,
            licence=row.licence,
            label=row.label,
        )
        for row in manifest.read(data)
        if row.mask
    ]
    learned = {film.group for film in films if film.split == "train"}
    kept = [film for film in films if film.split == "train" or film.group not in learned]
    assert_disjoint(kept)
    return kept


def assert_disjoint(films: Sequence[Grouped]) -> None:
    """Check that every group is in one split only.

    Raises
    ------
    ValueError
        A group is in more than one; the first is named.
    """
    splits: dict[str, set[str]] = defaultdict(set)
    for film in films:
        splits[film.group].add(film.split)
    torn = sorted(group for group, where in splits.items() if len(where) > 1)
    if torn:
        raise ValueError(f"{len(torn)} groups cross splits, the first is {torn[0]!r}.")


def load_mask(paths: Sequence[Path], size: int) -> NDArray[np.bool_]:
    """Load a mask, drawn in one picture or several, into the network frame.

    Parameters
    ----------
    paths
        Pictures of any size, each letterboxed as its film is; white (above 127) is inside. None of
        them: an empty mask.
    size
        Side of the network frame, pixels.

    Returns
    -------
    array
        (size, size), True inside any of the pictures.
    """
    mask = np.zeros((size, size), np.bool_)
    for path in paths:
        with Image.open(path) as picture:
            gray = picture.convert("L")
        frame = preprocess.frame_of(gray.height, gray.width, size)
        scaled = gray.resize((frame.width, frame.height), Image.Resampling.BILINEAR)
        part = mask[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
        part |= np.asarray(scaled) > 127
    return mask
