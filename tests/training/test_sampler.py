"""Even draws."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from support.fake_networks import labelled_film

from train.data.sampler import even_draw, spread, spread_kinds


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_each_group_gives_the_same_share() -> None:
    """A group of three films gives as much of a batch as one of a thousand."""
    groups = [list(range(3)), list(range(3, 1003)), list(range(1003, 1010))]
    drawn = Counter(
        next(n for n, group in enumerate(groups) if i in group)
        for i in even_draw(groups, 30, _generator())
    )
    assert drawn == {0: 10, 1: 10, 2: 10}


def test_the_same_seed_draws_the_same_films() -> None:
    """The same seed draws the same films, another seed others."""
    groups = [list(range(100)), list(range(100, 200))]
    first = even_draw(groups, 20, _generator(1))
    assert even_draw(groups, 20, _generator(1)) == first
    assert even_draw(groups, 20, _generator(2)) != first


@pytest.mark.parametrize("groups", [[[1], [2], [3]], [[1], []]])
def test_what_cannot_be_even_is_refused(groups: list[list[int]]) -> None:
    """A batch that does not divide, or a group without films, is refused."""
    with pytest.raises(ValueError, match=r"divide|empty"):
        even_draw(groups, 4, _generator())


@pytest.mark.parametrize(
    ("count", "most", "taken"), [(5, 2, [0, 2]), (10, 5, [0, 2, 4, 6, 8]), (3, 9, [0, 1, 2])]
)
def test_a_few_items_are_taken_from_all_over(count: int, most: int, taken: list[int]) -> None:
    """Evenly spaced from the first; a short list is taken whole."""
    assert spread(range(count), most) == taken


def test_no_items_give_none() -> None:
    """An empty list is no error."""
    assert spread([], 3) == []


def test_a_few_films_of_every_kind() -> None:
    """Each source and label gives its own; a small one is not crowded out by a large one."""
    many = [labelled_film("normal", "nih", i) for i in range(6)]
    only = labelled_film("covid", "quex")
    assert spread_kinds([*many, only], 2) == [many[0], many[3], only]
