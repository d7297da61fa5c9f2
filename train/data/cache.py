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
    """Films in the network frame, contrast stretched, decoded once.

    Parameters
    ----------
    films
        N films.
    size
        Side S of the network frame, pixels.
    folder
        Of the cache, see `kept`.

    Returns
    -------
    array
        (N, S, S) uint8, 255 white; a read-only memory map.
    """

    def one(film: Film) -> Pictures:
        pixels, _ = preprocess.to_network(load_pixels(film.path), size)
        return np.asarray((pixels * 255.0).round(), dtype=np.uint8)

    return kept(folder, "films", films, size, one)


def areas(films: Sequence[Film], size: int, folder: Path) -> Pictures:
    """Where the frame of each film holds film: ones and zeros, as `pictures`."""

    def one(film: Film) -> Pictures:
        rows, columns = load_pixels(film.path).shape
        return preprocess.film_area(preprocess.frame_of(rows, columns, size)).astype(np.uint8)

    return kept(folder, "areas", films, size, one)


def infections(films: Sequence[Film], size: int, folder: Path) -> Pictures:
    """Drawn infections, ones and zeros, all zero if none was drawn, as `pictures`."""

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
    """Make one picture for each film, once, and keep all of them in a file.

    Parameters
    ----------
    folder
        Holds ``NAME-DIGEST.npy``; the digest is of name, key, size and the films' paths.
    name
        Of the pictures.
    films
        N films.
    size
        Side S of the pictures, pixels.
    one
        Makes the picture of a film, (S, S) uint8; called only if there is no such file yet.
    key
        Names whatever else the pictures depend on, such as the weights that made them.

    Returns
    -------
    array
        (N, S, S) uint8, in the order of ``films``; a read-only memory map.
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
