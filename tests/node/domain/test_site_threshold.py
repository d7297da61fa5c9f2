"""A threshold of the site's own."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dicom_node.domain.paired import LEAST
from dicom_node.domain.performance import Case
from dicom_node.domain.site_threshold import (
    LEAST_BELOW,
    Networks,
    NoThreshold,
    Proposal,
    Wanted,
    propose,
)

NETWORKS = Networks(version="1.0.0", digests={"pneumonia": "a"}, prevalence=None)
_SCORES = st.lists(st.integers(1, 99), min_size=60, max_size=80)


def _cases(scores: list[float], ill: bool | None) -> list[Case]:
    return [
        Case(
            patient=f"{ill}{i}", probability=score, positive=score >= 0.5, ill=ill,
            study=f"1.{int(bool(ill))}.{i}",
        )
        for i, score in enumerate(scores)
    ]  # fmt: skip


def _propose(ill: list[float], well: list[float], wanted: Wanted) -> Proposal:
    return propose([*_cases(ill, True), *_cases(well, False)], "pneumonia", NETWORKS, wanted)


def test_the_sensitivity_that_was_wanted_is_reached_and_named_with_an_interval() -> None:
    """Of a hundred ill studies 60 are found at 0.5; 95 at the proposal, at a price."""
    ill = [(i + 0.5) / 100 * 0.8 + 0.18 for i in range(100)]
    well = [i / 100 for i in range(40)]
    found = _propose(ill, well, Wanted(sensitivity=0.95))
    change = found.found.sensitivity
    assert change is not None
    assert change.used == pytest.approx(0.6)
    assert change.other == pytest.approx(0.95)
    assert change.low < change.difference < change.high
    specificity = found.found.specificity
    assert specificity is not None
    assert specificity.other < specificity.used == 1.0
    assert {pair.ill for pair in found.found.differ} == {True, False}


@given(_SCORES, _SCORES, st.sampled_from([0.8, 0.9, 0.95]))
def test_no_higher_threshold_would_find_as_many(
    ill: list[int], well: list[int], sensitivity: float
) -> None:
    """The proposal is the highest of those that reach the sensitivity."""
    scores = [score / 100 for score in ill]
    found = _propose(scores, [score / 100 for score in well], Wanted(sensitivity=sensitivity))
    needed = math.ceil(round(sensitivity * len(scores), 6))
    assert sum(score >= found.threshold for score in scores) >= needed
    assert sum(score >= found.threshold + 0.0101 for score in scores) < needed


@given(_SCORES, _SCORES, st.sampled_from([0.5, 1.0, 5.0]), st.sampled_from([None, 0.1, 0.5]))
def test_no_other_threshold_costs_less(
    ill: list[int], well: list[int], ratio: float, prevalence: float | None
) -> None:
    """Compared with every score as a threshold."""
    assume(prevalence is None or prevalence > 0)
    sick, fit = [s / 100 for s in ill], [s / 100 for s in well]
    share = prevalence or len(sick) / (len(sick) + len(fit))

    def cost(threshold: float) -> float:
        missed = sum(score < threshold for score in sick) / len(sick)
        false = sum(score >= threshold for score in fit) / len(fit)
        return ratio * share * missed + (1 - share) * false

    found = _propose(sick, fit, Wanted(cost_ratio=ratio, prevalence=prevalence))
    assert cost(found.threshold) <= min(cost(score) for score in {*sick, *fit}) + 1e-9


@pytest.mark.parametrize(
    ("ill", "well", "wanted"),
    [
        (LEAST - 1, 100, Wanted(cost_ratio=1.0)),
        (100, LEAST - 1, Wanted(cost_ratio=1.0)),
        (59, 100, Wanted(sensitivity=0.95)),
    ],
)
def test_too_few_studies_carry_no_threshold(ill: int, well: int, wanted: Wanted) -> None:
    """The sentence says how many there are; 0.95 needs 60, so that three lie below."""
    with pytest.raises(NoThreshold, match=f"too few to say: {ill} ill and {well} well"):
        _propose([0.9] * ill, [0.1] * well, wanted)
    assert round(60 * 0.05) == LEAST_BELOW


def test_what_is_wanted_must_be_one_thing() -> None:
    """A sensitivity or costs, inside their bounds."""
    for wrong in ({}, {"sensitivity": 0.9, "prevalence": 0.1}, {"sensitivity": 1.0},
                  {"cost_ratio": 0.0}, {"prevalence": 2.0}):  # fmt: skip
        with pytest.raises(NoThreshold):
            Wanted(**wrong)


def test_the_digest_covers_what_was_printed() -> None:
    """The same studies give the same digest; another verdict another one."""
    ill, well = [0.9] * 60, [0.1] * 60
    wanted = Wanted(sensitivity=0.9)
    one = _propose(ill, well, wanted)
    assert one.digest == _propose(ill, well, wanted).digest
    assert one.digest != _propose(ill, [*well, 0.1], wanted).digest
