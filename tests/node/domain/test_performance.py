"""How often scores agree with verdicts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_node.domain.paired import LEAST
from dicom_node.domain.performance import Case, auc, measure, wilson


def _case(number: int, probability: float, ill: bool | None) -> Case:
    return Case(patient=str(number), probability=probability, positive=probability >= 0.5, ill=ill)


def test_figures_of_studies_with_known_answers() -> None:
    """Nine of ten ill found, eight of ten well left; studies without a verdict are counted."""
    ill = [_case(i, 0.2 if i % 10 == 0 else 0.9, True) for i in range(40)]
    well = [_case(100 + i, 0.7 if i % 5 == 0 else 0.1, False) for i in range(40)]
    found = measure([*ill, *well, _case(200, 0.9, None)])
    assert (found.studies, found.missing, found.ill, found.well) == (81, 1, 40, 40)
    assert found.sensitivity is not None
    assert found.specificity is not None
    assert found.auc is not None
    assert found.sensitivity.value == pytest.approx(0.9)
    assert found.specificity.value == pytest.approx(0.8)
    assert found.auc.value == pytest.approx(0.9 + 0.1 * 0.8)
    for figure in (found.sensitivity, found.specificity, found.auc):
        assert 0 <= figure.low < figure.value < figure.high <= 1
    assert sum(part.studies for part in found.reliability) == 80
    ends = found.roc[0], found.roc[-1]
    assert [(p.sensitivity, p.false_positives) for p in ends] == [(0.0, 0.0), (1.0, 1.0)]
    steps = pairwise(found.roc)
    area = sum((b.false_positives - a.false_positives) * (a.sensitivity + b.sensitivity) / 2
               for a, b in steps)  # fmt: skip
    assert area == pytest.approx(found.auc.value)


def test_too_few_studies_have_no_figures() -> None:
    """One ill study less than stated: no sensitivity and no AUC, but specificity."""
    ill = [_case(i, 0.9, True) for i in range(LEAST - 1)]
    well = [_case(100 + i, 0.1, False) for i in range(LEAST)]
    found = measure([*ill, *well])
    assert (found.sensitivity, found.auc, found.reliability) == (None, None, ())
    assert found.specificity is not None
    assert found.as_json()["too_few_to_say"]
    assert not measure([*ill, *ill, *well]).as_json()["too_few_to_say"]


def test_wilson_agrees_with_a_published_example() -> None:
    """81 of 263: Newcombe 1998, Statistics in Medicine 17, table I, method 3."""
    found = wilson(81, [str(i) for i in range(263)])
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_many_studies_of_few_patients_make_a_wider_interval() -> None:
    """Ten studies of each patient count as one."""
    alone, together = wilson(50, [str(i) for i in range(100)]), wilson(50, list("0123456789") * 10)
    assert together.high - together.low > 2 * (alone.high - alone.low)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=20))
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[int, bool]]) -> None:
    """Ties count half; with one class it is not a number."""
    ill = [score for score, positive in pairs if positive]
    well = [score for score, positive in pairs if not positive]
    scores = np.array([score for score, _ in pairs], np.float64)
    found = auc(scores, np.array([positive for _, positive in pairs], np.bool_))
    if not ill or not well:
        assert np.isnan(found)
        return
    right = sum((a > b) + (a == b) / 2 for a in ill for b in well)
    assert found == pytest.approx(right / (len(ill) * len(well)))
