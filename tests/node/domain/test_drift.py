"""The population stability index of a sender's films."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.domain.drift import LEAST, Parts, Sample, freeze, shifts, stability_index

_COUNTS = st.lists(st.integers(0, 1000), min_size=2, max_size=8)


def _sample(count: int, seed: int, more: float = 0.0, refused: int = 0) -> Sample:
    draw = random.Random(seed)
    values = [draw.random() ** 2 + more for _ in range(count)]
    return Sample(scores=values, distances=values, read=count, refused=refused)


def test_the_index_of_a_worked_example() -> None:
    """Shares of 50 and 50 that become 80 and 20: 0.3 ln 1.6 + 0.3 ln 2.5."""
    assert stability_index((50_000, 50_000), (80_000, 20_000)) == pytest.approx(0.4159, abs=1e-4)


@given(_COUNTS, st.data())
def test_the_index_is_never_negative_and_zero_for_the_same_films(
    counts: list[int], data: st.DataObject
) -> None:
    """Empty parts on either side do no harm; which side is which does not matter."""
    others = data.draw(st.lists(st.integers(0, 1000), min_size=len(counts), max_size=len(counts)))
    assert stability_index(counts, counts) == 0
    found = stability_index(counts, others)
    assert found >= 0
    assert found == pytest.approx(stability_index(others, counts))


def test_films_of_the_same_kind_stay_below_the_alarm_and_others_do_not() -> None:
    """Four hundred films of the same department, then of another one; then many refusals."""
    reference = {"CR1": freeze(_sample(400, 1))}
    same = shifts(reference, {"CR1": _sample(400, 2)})
    assert [each.measure for each in same] == ["score", "distance", "refused"]
    assert all(each.index is not None and each.index < 0.1 for each in same)
    other = shifts(reference, {"CR1": _sample(400, 3, more=0.4, refused=100)})
    assert all(each.index is not None and each.index > 0.25 for each in other)


def test_few_films_have_no_index() -> None:
    """One film less than stated, or a sender that sent nothing."""
    reference = {"CR1": freeze(_sample(400, 1)), "CR2": freeze(_sample(400, 1))}
    found = shifts(reference, {"CR1": _sample(LEAST - 1, 2)})
    assert [each.index for each in found] == [None] * 6
    assert found[0].as_json()["too_few_to_say"]


def test_films_that_are_all_alike_do_no_harm() -> None:
    """A reference of one value has one edge; what was not measured has no film."""
    frozen = freeze(Sample(scores=[0.5] * LEAST, read=LEAST))
    assert frozen["score"] == Parts(edges=(0.5,), films=(0, LEAST))
    assert frozen["distance"].total == 0
