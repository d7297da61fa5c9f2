"""Numbers about decisions, against numbers by hand, scipy and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics as sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from train.evaluation import metrics, operating


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.0),
        ([1, 3, 2, 4], [0, 0, 1, 1], 0.75),
        ([1, 1, 1, 1], [0, 1, 0, 1], 0.5),
    ],
)
def test_auc_by_hand(scores: list[float], positive: list[int], expected: float) -> None:
    """AUC is the share of pairs in the right order, ties half."""
    assert metrics.auc(np.array(scores, float), np.array(positive, bool)) == expected


@settings(deadline=None, max_examples=25)
@given(
    scores=st.lists(st.integers(0, 9), min_size=2, max_size=40),
    seed=st.integers(0, 99),
)
def test_auc_and_brier_are_scikit_learns(scores: list[int], seed: int) -> None:
    """Faster, and the same number, with ties as well."""
    positive = np.random.default_rng(seed).random(len(scores)) < 0.5
    positive[:2] = False, True
    probabilities = np.array(scores) / 10
    assert metrics.auc(probabilities, positive) == pytest.approx(
        sklearn.roc_auc_score(positive, probabilities)
    )
    assert metrics.brier(probabilities, positive) == pytest.approx(
        sklearn.brier_score_loss(positive, probabilities)
    )


def test_auc_of_one_class_is_no_number() -> None:
    """With one class only there is nothing to order."""
    assert math.isnan(metrics.auc(np.array([1.0, 2.0]), np.array([True, True])))


def test_an_interval_holds_its_value_and_widens_with_fewer_patients() -> None:
    """Many films of few patients say less than as many of many patients."""
    hits = np.tile([1.0, 1.0, 0.0, 1.0, 0.0], 8)
    by_film = metrics.bootstrap(lambda i: float(hits[i].mean()), [str(i) for i in range(40)])
    by_patient = metrics.bootstrap(lambda i: float(hits[i].mean()), [str(i % 5) for i in range(40)])
    for interval in (by_film, by_patient):
        assert interval.value == pytest.approx(0.6)
        assert interval.low < interval.value < interval.high
    assert by_patient.high - by_patient.low > by_film.high - by_film.low


@pytest.mark.parametrize(("right", "films"), [(6, 6), (0, 6), (23, 44), (1, 1)])
def test_a_share_of_single_films_has_wilsons_interval(right: int, films: int) -> None:
    """As scipy has it; six of six are not certainty."""
    found = metrics.share(np.arange(films) < right, [str(i) for i in range(films)])
    expected = stats.binomtest(right, films).proportion_ci(method="wilson")
    assert found.value == right / films
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.high - found.low > 0.25


def test_films_of_one_patient_count_as_one_in_a_share() -> None:
    """Sixty films of six patients say what six films say."""
    many = metrics.share(np.ones(60, bool), [str(i % 6) for i in range(60)])
    six = metrics.share(np.ones(6, bool), [str(i) for i in range(6)])
    assert (many.low, many.high) == pytest.approx((six.low, six.high))
    one_has_most = metrics.share(np.ones(60, bool), [str(max(0, i - 54)) for i in range(60)])
    assert one_has_most.low < six.low


def test_the_calibration_error_of_a_calibrated_network_may_be_nothing() -> None:
    """Noise alone is no error: the value is nearer the truth, and inside its interval."""
    rng = np.random.default_rng(2)
    plain, mirrored = [], []
    for _ in range(20):
        said = rng.uniform(0.05, 0.95, 80)
        true = rng.random(80) < said

        def ece(i: np.ndarray, said: np.ndarray = said, true: np.ndarray = true) -> float:
            return metrics.expected_calibration_error(said[i], true[i])

        found = metrics.mirrored(ece, [str(i) for i in range(80)], draws=60)
        assert found.low <= found.value <= found.high
        plain.append(ece(np.arange(80)))
        mirrored.append(found)
    assert np.mean([one.value for one in mirrored]) < 0.75 * np.mean(plain)
    assert sum(one.low < 0.005 for one in mirrored) > 10


def test_a_calibration_error_that_is_there_is_found() -> None:
    """Probabilities that are all 0.3 too high have an error of 0.3."""
    rng = np.random.default_rng(3)
    said = rng.uniform(0.4, 0.9, 400)
    true = rng.random(400) < said - 0.3
    found = metrics.mirrored(
        lambda i: metrics.expected_calibration_error(said[i], true[i]),
        [str(i) for i in range(400)],
        draws=200,
    )
    assert 0.15 < found.low < float((said - true).mean()) < found.high


def test_the_threshold_separates_what_can_be_separated() -> None:
    """The threshold lies midway between the classes."""
    probabilities = np.array([0.1, 0.2, 0.3, 0.7, 0.9])
    positive = np.array([False, False, False, True, True])
    assert metrics.balanced_threshold(probabilities, positive, np.ones(5)) == pytest.approx(0.5)


def test_the_threshold_favours_neither_side() -> None:
    """0.7 and 1 sum to more than 0.9 and 0.75, but the lesser of the latter two is larger."""
    ill, well = [0.15, *[0.35] * 2, *[0.9] * 7], [*[0.05] * 10, *[0.25] * 5, *[0.8] * 5]
    probabilities, positive = np.array([*ill, *well]), np.arange(30) < 10
    weights = np.ones(30)
    assert metrics.balanced_threshold(probabilities, positive, weights) == pytest.approx(0.3)
    weights[-5:] = 9.0
    assert metrics.balanced_threshold(probabilities, positive, weights) == pytest.approx(0.85)


def test_the_steady_threshold_depends_less_on_the_sample() -> None:
    """Over samples of one population it varies less than the plain threshold."""
    rng = np.random.default_rng(5)
    positive, ones = np.arange(40) % 2 == 0, np.ones(40)
    names = [str(i) for i in range(40)]
    plain, steady = [], []
    for _ in range(60):
        probabilities = 1 / (1 + np.exp(-rng.normal(np.where(positive, 0.5, -0.5), 1.0)))
        plain.append(metrics.balanced_threshold(probabilities, positive, ones))
        steady.append(metrics.steady_threshold(probabilities, positive, ones, names, draws=30))
    assert np.std(steady) < 0.95 * np.std(plain)
    assert np.mean(steady) == pytest.approx(0.5, abs=0.05)


def test_calibration_undoes_overconfidence_and_bias() -> None:
    """Logits three times too large, and shifted, are given the temperature three and the shift."""
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, 20000)
    positive = rng.random(20000) < 1 / (1 + np.exp(-honest))
    temperature, bias = operating.calibrate(3 * honest - 1, positive, np.full(20000, 1 / 20000))
    assert temperature == pytest.approx(3.0, rel=0.05)
    assert bias == pytest.approx(1.0, abs=0.2)


def test_even_weights_give_every_group_the_same_say() -> None:
    """Three films of one group weigh as much as one film of another."""
    weights = metrics.even_weights([("a",), ("a",), ("a",), ("b",)])
    assert weights[:3].sum() == pytest.approx(weights[3])
