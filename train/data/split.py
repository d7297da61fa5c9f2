"""Splits by patient, with copies of a film in one split.

Collections republish each other's films. Two films are near duplicates if their perceptual hashes
differ in at most `NEAR` of 256 bits: copies that were scaled, compressed or annotated do, two films
of one patient do not.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from train.data.image_io import load_pixels
from train.data.manifest import Row

#: Bits of 256 in which copies of one film may differ. Of 3,600 public films all pairs this near but
#: one were known to be copies of each other; at 15 bits films of other patients begin to pair.
NEAR = 10
# Of a hash, 16 x 16 bits. Hashes within 15 bits agree in at least one whole band of 16 bits.
_SIDE, _BANDS = 16, 16


def grouped(rows: Sequence[Row], folder: Path) -> list[Row]:
    """Join each patient's films and their exact and near duplicates into one ``group``.

    Parameters
    ----------
    rows
        Their paths are relative to ``folder``. A row without a patient is joined by its pixels
        alone.
    folder
        Of the data set.

    Returns
    -------
    list of Row
        The same rows with ``group``: g00000, g00001 ... in their order.
    """
    parent = list(range(len(rows)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(pairs: Sequence[tuple[int, int]]) -> None:
        for one, other in pairs:
            parent[root(one)] = root(other)

    first: dict[tuple[str, str], int] = {}
    for i, row in enumerate(rows):
        if row.patient:
            join([(i, first.setdefault((row.source, row.patient), i))])
    hashes = [perceptual_hash(folder / row.path) for row in track(rows, "duplicates")]
    join(near_pairs(np.array(hashes).reshape(len(rows), _SIDE * _SIDE)))
    names: dict[int, str] = {}
    return [
        replace(row, group=names.setdefault(root(i), f"g{len(names):05d}"))
        for i, row in enumerate(rows)
    ]


def perceptual_hash(path: Path) -> NDArray[np.bool_]:
    """Perceptual hash of a film: (256,)."""
    film = Image.fromarray((load_pixels(path) * 255.0).round().astype(np.uint8))
    bits: NDArray[np.bool_] = imagehash.phash(film, hash_size=_SIDE).hash.ravel()
    return bits


def near_pairs(hashes: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """All pairs of hashes that differ in at most `NEAR` bits.

    Parameters
    ----------
    hashes
        (N, 256), see `perceptual_hash`.

    Returns
    -------
    list of (int, int)
        Indices i < j, sorted.

    Notes
    -----
    Two hashes that differ in fewer bits than there are bands agree in at least one whole band, so
    only hashes with a band in common are compared.
    """
    pairs: set[tuple[int, int]] = set()
    for band in np.split(hashes, _BANDS, axis=1):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for i, bits in enumerate(np.packbits(band, axis=1)):
            for j in buckets[bits.tobytes()]:
                if (hashes[i] != hashes[j]).sum() <= NEAR:
                    pairs.add((j, i))
            buckets[bits.tobytes()].append(i)
    return sorted(pairs)


def split_by_group(rows: Sequence[Row], shares: Mapping[str, float], seed: int) -> list[Row]:
    """Give every row the split of its group; groups of the same labels are divided by ``shares``.

    Parameters
    ----------
    rows
        With ``group`` and ``label``.
    shares
        Split name -> share; they sum to 1.
    seed
        The same seed and rows give the same splits.

    Raises
    ------
    ValueError
        The shares do not sum to 1.
    """
    if abs(sum(shares.values()) - 1.0) > 1e-9:
        raise ValueError(f"The shares {dict(shares)} do not sum to 1.")
    labels: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        labels[row.group].add(row.label)
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for group, found in labels.items():
        strata[tuple(sorted(found))].append(group)
    chosen: dict[str, str] = {}
    for stratum in sorted(strata):
        groups = sorted(strata[stratum])
        random.Random(f"{seed} {stratum}").shuffle(groups)  # noqa: S311 - repeatable, not secret
        start, passed = 0, 0.0
        for name, share in shares.items():
            passed += share
            end = round(passed * len(groups))
            chosen.update(dict.fromkeys(groups[start:end], name))
            start = end
    return [replace(row, split=chosen[row.group]) for row in rows]
