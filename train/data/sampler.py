"""Sample films: balanced draws for a batch (paper §3), and evenly spaced subsets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Generator

from train.data.films import Film

Item = TypeVar("Item")


def even_draw(groups: Sequence[Sequence[int]], batch: int, generator: Generator) -> list[int]:
    """Draw a batch with replacement, equally many from each group (paper section 3).

    Parameters
    ----------
    groups
        Indices of films, by group.
    batch
        Number of indices to draw; a multiple of the number of groups.
    generator
        Of all draws.

    Returns
    -------
    list of int
        ``batch`` indices, group after group.

    Raises
    ------
    ValueError
        The batch does not divide evenly, or a group is empty.
    """
    if batch % len(groups):
        raise ValueError(f"A batch of {batch} does not divide evenly into {len(groups)} groups.")
    if not all(groups):
        raise ValueError("A group to draw from is empty.")
    share = batch // len(groups)
    return [
        group[int(i)]
        for group in groups
        for i in torch.randint(len(group), (share,), generator=generator)
    ]


def shared_draw(
    groups: Sequence[Sequence[int]], shares: Sequence[float], batch: int, generator: Generator
) -> list[list[int]]:
    """Draw a batch with replacement, from each group by its share.

    Parameters
    ----------
    groups
        Indices of films, by group.
    shares
        Of each group, > 0, of any sum.
    batch
        About how many indices to draw: a group's number that is not whole is rounded up or down by
        chance, so that it holds on average.
    generator
        Of all draws.

    Returns
    -------
    list of list of int
        Drawn indices, by group.

    Raises
    ------
    ValueError
        A group is empty.
    """
    if not all(groups):
        raise ValueError("A group to draw from is empty.")
    whole = sum(shares)
    drawn = []
    for group, share in zip(groups, shares, strict=True):
        wanted = batch * share / whole
        up = torch.rand((), generator=generator).item() < wanted - int(wanted)
        places = torch.randint(len(group), (int(wanted) + up,), generator=generator)
        drawn.append([group[int(i)] for i in places])
    return drawn


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """Take at most ``most`` items, evenly spaced, the first among them."""
    count = min(most, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def spread_kinds(films: Sequence[Film], most: int) -> list[Film]:
    """Take at most ``most`` films of each source and label, evenly spaced."""
    kinds: dict[tuple[str, str], list[Film]] = defaultdict(list)
    for film in films:
        kinds[film.source, film.label].append(film)
    return [film for kind in kinds.values() for film in spread(kind, most)]
