"""Even draws: every group gives the same share of a batch, however large it is (paper §3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator


def even_draw(groups: Sequence[Sequence[int]], batch: int, generator: Generator) -> list[int]:
    """Draw ``batch`` indices with replacement, equally many from each group, group after group.

    Raises ValueError where the batch does not divide evenly or a group is empty.
    """
    if batch % len(groups):
        raise ValueError(f"A batch of {batch} does not divide over {len(groups)} groups.")
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
    """Draw about ``batch`` indices with replacement, from each group by its share of them.

    A share that is no whole number is rounded up or down by chance, so that it holds on average.
    Raises ValueError where a group is empty.
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
