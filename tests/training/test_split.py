"""Splits by patient, and no film twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from train.data import split
from train.data.manifest import Row

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def _smooth(seed: int) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(128, 128)), 4)
    return np.asarray(255 * (noise - noise.min()) / np.ptp(noise), np.uint8)


def _rows(count: int) -> list[Row]:
    return [
        Row(path=f"{i}.png", label="normal" if i % 3 else "covid", group=f"g{i // 2}")
        for i in range(count)
    ]


def test_shares_hold_within_each_label() -> None:
    """Eighty, ten and ten of each hundred groups."""
    rows = [Row(path=str(i), label=str(i % 2), group=str(i)) for i in range(200)]
    counts = Counter((r.label, r.split) for r in split.split_by_group(rows, SHARES, 7))
    assert counts == {
        (x, s): n for x in "01" for s, n in (("train", 80), ("val", 10), ("test", 10))
    }


@given(st.integers(0, 2**32), st.permutations(range(40)))
def test_the_same_seed_gives_the_same_splits_in_any_order(seed: int, order: list[int]) -> None:
    """Rows may come in another order from another disk."""
    rows = _rows(40)
    one = {row.path: row.split for row in split.split_by_group(rows, SHARES, seed)}
    shuffled = [rows[i] for i in order]
    assert one == {row.path: row.split for row in split.split_by_group(shuffled, SHARES, seed)}


@given(st.integers(0, 2**32))
def test_no_group_crosses_splits(seed: int) -> None:
    """A patient's films stay together."""
    where: dict[str, set[str]] = {}
    for row in split.split_by_group(_rows(60), SHARES, seed):
        where.setdefault(row.group, set()).add(row.split)
    assert all(len(splits) == 1 for splits in where.values())


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    """Films would be lost in silence."""
    with pytest.raises(ValueError, match="sum to 1"):
        split.split_by_group(_rows(4), {"train": 0.5}, 1)


def test_copies_and_patients_share_a_group(tmp_path: Path) -> None:
    """A film made smaller, one compressed hard, and another film of the same patient."""
    film, other = Image.fromarray(_smooth(1)), Image.fromarray(_smooth(2))
    film.save(tmp_path / "a.png")
    film.resize((90, 90)).save(tmp_path / "smaller.png")
    film.save(tmp_path / "compressed.jpg", quality=30)
    other.save(tmp_path / "b.png")
    Image.fromarray(_smooth(3)).save(tmp_path / "b2.png")
    Image.fromarray(_smooth(4)).save(tmp_path / "c.png")
    rows = [Row(path=name, patient=who) for name, who in
            (("a.png", "1"), ("smaller.png", "2"), ("compressed.jpg", ""), ("b.png", "3"),
             ("b2.png", "3"), ("c.png", "4"))]  # fmt: skip
    a, smaller, compressed, b, b2, c = (r.group for r in split.grouped(rows, tmp_path))
    assert a == smaller == compressed
    assert b == b2
    assert len({a, b, c}) == 3


def test_patients_of_two_sources_with_one_number_are_two(tmp_path: Path) -> None:
    """Every publisher counts from one."""
    for seed, name in ((1, "a.png"), (2, "b.png")):
        Image.fromarray(_smooth(seed)).save(tmp_path / name)
    rows = [Row(path="a.png", patient="1", source="x"), Row(path="b.png", patient="1", source="y")]
    one, other = split.grouped(rows, tmp_path)
    assert one.group != other.group


@settings(max_examples=50)
@given(st.integers(0, 2**32), st.integers(0, split.NEAR + 3))
def test_every_pair_within_reach_is_found(seed: int, flips: int) -> None:
    """Bands never miss a pair that is near enough."""
    rng = np.random.default_rng(seed)
    one = rng.random(256) < 0.5
    other = one.copy()
    other[rng.choice(256, flips, replace=False)] ^= True
    found = split.near_pairs(np.stack([one, other]))
    assert found == ([(0, 1)] if flips <= split.NEAR else [])
