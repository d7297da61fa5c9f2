"""Films decoded once, at one small size, into a memory-mapped file.

All sources get the same size, because a network could recognise a source by its file size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from models import preprocess
from train.data.films import Film, load_mask, load_pixels
from train.files import replacing

Pictures = NDArray[np.uint8]


def pictures(films: Sequence[Film], size: int, folder: Path) -> Pictures:
    """Films in the network frame, (N, S, S) in 0..255, contrast stretched; S is ``size``."""

    def one(film: Film) -> Pictures:
        pixels, _ = preprocess.to_network(load_pixels(film.path), size)
        return np.asarray((pixels * 255.0).round(), dtype=np.uint8)

    return kept(folder, "films", films, size, one)


def areas(films: Sequence[Film], size: int, folder: Path) -> Pictures:
    """Return ones where the frame holds film, else zeros: (N, S, S)."""

    def one(film: Film) -> Pictures:
        rows, columns = load_pixels(film.path).shape
        return preprocess.film_area(preprocess.frame_of(rows, columns, size)).astype(np.uint8)

    return kept(folder, "areas", films, size, one)


def infections(films: Sequence[Film], size: int, folder: Path) -> Pictures:
    """Drawn infections, zeros and ones, all zero if none was drawn: (N, S, S)."""

    def one(film: Film) -> Pictures:
        drawn = (film.infection,) if film.infection else ()
        return load_mask(drawn, size).astype(np.uint8)

    return kept(folder, "infections", films, size, one)


def kept(
    folder: Path,
    name: str,
    films: Sequence[Film],
    size: int,
    one: Callable[[Film], Pictures],
    key: str = "",
) -> Pictures:
    """Make one picture a film, once; a memory map of all of them, (N, S, S).

    ``key`` names whatever else the pictures depend on, such as the weights that made them.
    """
    parts = [name, key, str(size), *(str(film.path) for film in films)]
    path = folder / f"{name}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:16]}.npy"
    if not path.exists():
        shape = (len(films), size, size)
        with replacing(path) as part:
            made = np.lib.format.open_memmap(part, "w+", dtype=np.uint8, shape=shape)
            for i, film in enumerate(track(films, name)):
                made[i] = one(film)
            made.flush()
    loaded: Pictures = np.load(path, mmap_mode="r")
    return loaded
