"""A heatmap that does not show what the decision came from is caught, film by film."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.readings import frame, heat, negative, positive, stage
from torch import Tensor

from models import heat_check
from models.cascade import Cascade
from models.reading import HeatCheck, Reading, StageResult

FRAME = frame(640, 512, size=128)
# (x, y, radius, height) in fractions of the film
PNEUMONIA = (0.30, 0.60, 0.08, 1.0)
LETTER = (0.06, 0.12, 0.03, 1.0)  # a marker beside the lungs, as technologists put it
LEAST = 0.02  # of the probability, at 1/2


class Asked:
    """A network that looks at one place only: the brighter it is, the surer."""

    def __init__(self, spot: tuple[float, float, float, float]) -> None:
        self.where = torch.from_numpy(heat(FRAME, spot)) > 0.5
        self.films = torch.empty(0, 1, FRAME.size, FRAME.size)

    def __call__(self, films: Tensor) -> Sequence[StageResult]:
        self.films = torch.cat([self.films, films])
        brightness: list[float] = films[:, 0, self.where].mean(dim=1).tolist()
        return _decisions(max(each, 0.001) for each in brightness)


def _decisions(probabilities: Iterable[float]) -> list[StageResult]:
    return [stage(each, 0.5) for each in probabilities]


def _film() -> Tensor:
    """A film as stage 2 sees it, as bright everywhere."""
    return torch.full((1, 1, FRAME.size, FRAME.size), 0.9)


def _reading(spot: tuple[float, float, float, float], probability: float = 0.9) -> Reading:
    reading = positive(FRAME)
    return replace(
        reading,
        h2=heat(FRAME, spot),
        pneumonia=stage(probability, 0.5),
    )


def _check(hot: tuple[float, float, float, float], network: Asked) -> HeatCheck:
    return heat_check.check(_reading(hot), heat(FRAME, hot), _film(), network, LEAST)


def test_heat_on_what_the_network_looks_at_is_reliable() -> None:
    """Inside the lungs, and without it the probability is gone."""
    check = _check(PNEUMONIA, Asked(PNEUMONIA))
    assert check.reliable
    assert check.inside_lungs > 0.95
    assert check.drop is not None
    assert check.random_drop is not None
    assert check.drop > 0.8 > check.random_drop


def test_a_letter_beside_the_lungs_that_draws_the_heat_is_caught() -> None:
    """The heat lies outside the lungs, whatever the network does without it."""
    check = _check(LETTER, Asked(LETTER))
    assert check.inside_lungs < 0.1
    assert not check.reliable


def test_a_negative_film_is_not_tested() -> None:
    """There is no finding to explain, and no heat is shown."""
    network = Asked(LETTER)
    check = heat_check.check(negative(FRAME), heat(FRAME, LETTER), _film(), network, LEAST)
    assert check == HeatCheck(
        inside_lungs=check.inside_lungs, drop=None, random_drop=None, reliable=None
    )
    assert not network.films.numel()


def test_heat_where_the_network_does_not_look_is_caught() -> None:
    """Inside the lungs, but the probability stays without it: elsewhere need not be tried."""
    network = Asked((0.70, 0.30, 0.08, 1.0))
    check = _check(PNEUMONIA, network)
    assert check.random_drop is None
    assert len(network.films) == 1
    assert check.inside_lungs > 0.95
    assert check.drop == pytest.approx(0.0, abs=1e-6)
    assert not check.reliable


@pytest.mark.parametrize(
    ("without", "elsewhere", "reliable"),
    [(0.91, 0.95, False), (0.7, 0.6, False), (0.7, 0.8, True)],
    ids=["rises", "falls further elsewhere", "falls most here"],
)
def test_the_probability_must_fall_and_further_than_elsewhere(
    without: float, elsewhere: float, reliable: bool
) -> None:
    """Where it rises without the heat, it does not help that it rises even more elsewhere."""
    answers = iter([[without], [elsewhere] * heat_check.ELSEWHERE])
    reading, hot = _reading(PNEUMONIA), heat(FRAME, PNEUMONIA)
    check = heat_check.check(reading, hot, _film(), lambda _: _decisions(next(answers)), LEAST)
    assert check.drop == pytest.approx(0.9 - without)
    assert check.reliable is reliable


def _falling(probability: float, falls_by: float) -> HeatCheck:
    """A film whose probability falls by so much where it is hot, and elsewhere stays."""

    def network(films: Tensor) -> Sequence[StageResult]:
        hidden = probability - falls_by if len(films) == 1 else probability
        return _decisions([hidden] * len(films))

    reading, hot = _reading(PNEUMONIA, probability), heat(FRAME, PNEUMONIA)
    return heat_check.check(reading, hot, _film(), network, LEAST)


@pytest.mark.parametrize(("falls_by", "reliable"), [(0.015, False), (0.025, True)])
def test_at_a_half_a_drop_of_less_than_two_points_confirms_nothing(
    falls_by: float, reliable: bool
) -> None:
    """Further than elsewhere is not enough: a score that stays was not made there."""
    assert _falling(0.51, falls_by).reliable is reliable


@given(probability=st.floats(0.5, 0.999), falls_by=st.floats(LEAST, 0.4))
def test_a_drop_of_two_points_is_enough_at_every_score(probability: float, falls_by: float) -> None:
    """What `heat_drop` asks for in points is never refused for its log odds."""
    assert _falling(probability, falls_by + 1e-6).reliable


@pytest.mark.parametrize(("falls_by", "reliable"), [(0.00001, False), (0.001, True), (0.3, True)])
def test_near_certainty_the_log_odds_decide(falls_by: float, reliable: bool) -> None:
    """At 99.9 % the probability hardly falls, however much less sure the network becomes."""
    check = _falling(0.999, falls_by)
    assert check.reliable is reliable
    assert check.drop == pytest.approx(falls_by)


def test_temperature_counts_in_the_log_odds() -> None:
    """They are the calibrated ones: the same logits say less at a higher temperature."""
    reading, hot = _reading(PNEUMONIA), heat(FRAME, PNEUMONIA)
    cool = replace(reading.pneumonia, logit=3.0, temperature=2.0)
    check = heat_check.check(
        replace(reading, pneumonia=cool),
        hot,
        _film(),
        lambda films: [replace(cool, logit=2.0)] * len(films),
        LEAST,
    )
    assert check.log_odds_drop == pytest.approx(0.5)
    assert check.random_log_odds_drop == pytest.approx(0.5)
    assert check.reliable is False


def test_as_much_is_hidden_elsewhere_in_blocks_inside_the_lungs() -> None:
    """Equal shares of the lungs; random pixels would blind the network anywhere."""
    network = Asked(PNEUMONIA)
    check = _check((0.30, 0.48, 0.3, 1.0), network)
    assert check.reliable
    hidden = (network.films[:, 0] == 0).numpy()
    lungs = positive(FRAME).lungs.mask
    assert len(hidden) == 1 + heat_check.ELSEWHERE
    assert not (hidden & ~lungs).any()
    for region in hidden:
        assert region.sum() == pytest.approx(heat_check.HIDDEN * lungs.sum(), abs=1)
        along_the_edge = (region[:, 1:] != region[:, :-1]).sum()
        assert along_the_edge < region.sum() / 3
    for region in hidden[1:]:
        assert not (region & hidden[0]).any()


def test_a_film_is_checked_the_same_every_time() -> None:
    """What is hidden by chance hangs on the film alone."""
    one, again, other = Asked(PNEUMONIA), Asked(PNEUMONIA), Asked(PNEUMONIA)
    _check(PNEUMONIA, one)
    np.random.default_rng().random()
    torch.rand(1)
    _check(PNEUMONIA, again)
    heat_check.check(_reading(PNEUMONIA), heat(FRAME, PNEUMONIA), _film() * 0.5, other, LEAST)
    assert torch.equal(one.films, again.films)
    assert not torch.equal(one.films == 0, other.films == 0)


@pytest.mark.parametrize("where", ["nowhere hot", "no lungs"])
def test_a_positive_film_that_nothing_explains_is_unreliable(where: str) -> None:
    """No heat, or no lungs to hide anything in."""
    reading = _reading(PNEUMONIA)
    nothing = np.zeros_like(reading.lungs.mask)
    if where == "no lungs":
        reading = replace(reading, lungs=replace(reading.lungs, mask=nothing))
    else:
        reading = replace(reading, h2=nothing.astype(np.float32))
    check = heat_check.check(reading, reading.h2, _film(), Asked(PNEUMONIA), LEAST)
    assert check.reliable is False
    assert check.drop == pytest.approx(0.0, abs=1e-6)


def test_the_cascade_checks_every_film(
    build: Callable[..., Cascade], film: NDArray[np.float32]
) -> None:
    """With its own stage 2 where the film is positive, by the place alone where it is not."""
    loud, quiet = build().read(film).heat_check, build(pneumonia=1.0).read(film).heat_check
    assert loud is not None
    assert quiet is not None
    assert loud.inside_lungs == quiet.inside_lungs
    assert -1 <= (loud.drop or 0.0) <= 1
    assert loud.drop is not None
    assert quiet.drop is None
