"""Two versions on the same studies: figures known beforehand, and what they carry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_node.domain.evidence import MARGIN, Pairs, objections, weigh
from dicom_node.domain.paired import LEAST, Pair, Score, compare
from dicom_node.domain.reading import Stage


def _pair(used: float, other: float, *, ill: bool | None, study: str = "1.2") -> Pair:
    return Pair(study_instance_uid=study, used=_score(used), other=_score(other), ill=ill)


def _score(probability: float) -> Score:
    return Score(probability=probability, positive=probability >= 0.5, seconds=1.0)


def _studies(used: float, other: float, count: int = 100) -> list[Pair]:
    """Ill and well studies whose scores lie apart by so many standard deviations."""
    draw = np.random.default_rng(0)
    pairs = []
    for ill in (True, False):
        noise = draw.normal(size=count)
        for each in noise:
            sides = [0.5 + (0.1 if ill else -0.1) * apart + 0.1 * each for apart in (used, other)]
            pairs.append(_pair(*sides, ill=ill))
    return pairs


def _against(
    stage_2: list[Pair], stage_3: list[Pair] | None = None, *, changed: Stage = "pneumonia"
) -> list[str]:
    pairs = Pairs(pneumonia=stage_2, covid19=stage_3 or [], changed=frozenset({changed}))
    return objections(weigh(pairs))


def test_few_verdicts_say_nothing() -> None:
    """Whatever the scores are; studies that differ are named all the same."""
    pairs = [_pair(0.2, 0.9, ill=True) for _ in range(LEAST - 1)] + _studies(1, 1)[100:]
    found = compare(pairs)
    assert (found.auc, found.sensitivity, found.balanced) == (None, None, None)
    assert found.specificity is not None
    assert len(found.differ) == LEAST - 1
    assert "stage 2: too few to say" in _against(pairs)[0]
    assert found.as_json()["too_few_to_say"]


def test_a_better_version_has_no_objection_and_a_worse_one_has() -> None:
    """Both by AUC and by its decisions."""
    better, worse = _studies(0.3, 1.5), _studies(1.5, 0.3)
    auc = compare(better).auc
    assert auc is not None
    assert auc.low > 0
    assert _against(better) == []
    assert len(_against(worse)) == 2


def test_a_stage_with_another_network_must_prove_itself() -> None:
    """Stage 3 with the same network need not, where no verdict says COVID-19."""
    better, few = _studies(0.3, 1.5), _studies(0.3, 1.5, LEAST - 1)
    assert _against(better, few) == []
    (said,) = _against(better, few, changed="covid19")
    assert said.startswith("stage 3: too few to say")
    assert _against(_studies(1, 1), better, changed="covid19") == []


def test_a_stage_with_the_same_network_must_not_become_worse() -> None:
    """Stage 3 sees the film through the heatmap of another stage 2."""
    said = _against(_studies(0.3, 1.5), _studies(1.5, 0.3))
    assert len(said) == 2
    assert all(each.startswith("stage 3: ") for each in said)


def test_the_same_version_differs_in_nothing() -> None:
    """The difference is zero, and so are the studies that differ."""
    found = compare(_studies(1, 1))
    assert found.auc is not None
    assert (found.auc.difference, found.auc.low, found.auc.high) == (0, 0, 0)
    assert found.differ == ()
    assert (found.p_ill, found.p_well) == (1.0, 1.0)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_gain_that_was_not_shown_is_an_objection(noise: float) -> None:
    """The same version, or one whose scores differ at random: not worse, and nothing is proven."""
    draw = np.random.default_rng(1)
    pairs = [
        _pair(each.used.probability, each.used.probability + noise * draw.normal(), ill=each.ill)
        for each in _studies(1, 1, 600)
    ]
    balanced = compare(pairs).balanced
    assert balanced is not None
    assert balanced.low > -MARGIN
    (said,) = _against(pairs)
    assert said.startswith("no gain was shown: stage 2: AUC")


def test_a_possible_loss_beyond_the_margin_is_an_objection() -> None:
    """Few studies leave wide intervals: not shown to be no worse is not enough."""
    pairs = _studies(1, 0.9, LEAST)
    balanced = compare(pairs).balanced
    assert balanced is not None
    assert balanced.low < -MARGIN < balanced.difference
    assert _against(pairs)


def test_figures_of_a_textbook() -> None:
    """McNemar 12 to 2 of 14: p = 2 (1 + 14 + 91) / 2^14; the shares differ by 10 in 50."""
    pairs = (
        [_pair(0.1, 0.9, ill=True)] * 12
        + [_pair(0.9, 0.1, ill=True)] * 2
        + [_pair(0.9, 0.9, ill=True)] * 36
    )
    found = compare(pairs)
    assert found.p_ill == pytest.approx(2 * (1 + 14 + 91) / 2**14)
    assert found.sensitivity is not None
    assert found.sensitivity.difference == pytest.approx(0.2)
    assert found.sensitivity.low == pytest.approx(0.0560, abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_interval_of_the_auc_covers_the_bootstrap_s_middle(seed: int) -> None:
    """DeLong's standard error is close to that of resampled studies."""
    draw = np.random.default_rng(seed)
    ill = draw.normal(0.6, 0.2, (60, 2)).clip(0, 1)
    well = draw.normal(0.4, 0.2, (60, 2)).clip(0, 1)
    pairs = [_pair(*row, ill=True) for row in ill] + [_pair(*row, ill=False) for row in well]
    change = compare(pairs).auc
    assert change is not None

    def difference(i: np.ndarray, j: np.ndarray) -> float:
        one, two = ((ill[i, k][:, None] > well[j, k][None]).mean() for k in (0, 1))
        return float(two - one)

    draws = [difference(draw.integers(60, size=60), draw.integers(60, size=60)) for _ in range(200)]
    error = (change.high - change.low) / (2 * 1.96)
    assert error == pytest.approx(np.std(draws), rel=0.35)
