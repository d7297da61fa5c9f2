"""The three stages as one: order, early exit, maps and what randomised weights do to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import preprocess, steps
from models.cascade import Cascade
from models.densenet import ChestDenseNet
from models.operating import OperatingPoint

Build = Callable[..., Cascade]
Film = NDArray[np.float32]


def test_a_positive_film_has_every_answer(build: Build, film: Film) -> None:
    """Both probabilities and all maps, float32 in [0, 1], nothing in the padding."""
    reading = build().read(film)
    assert reading.pneumonia.positive
    assert reading.covid19 is not None
    assert 0 < reading.covid19.probability < 1
    padding = ~preprocess.film_area(reading.frame)
    for heat in (reading.h2, reading.h3, reading.guided):
        assert heat is not None
        assert heat.shape == (128, 128)
        assert heat.dtype == np.float32
        assert heat.min() >= 0
        assert heat.max() <= 1
        assert not heat[padding].any()
    assert set(reading.seconds) == {"lungs", "pneumonia", "covid19", "explain"}
    assert min(reading.seconds.values()) > 0


def test_a_negative_film_stops_after_stage_2(build: Build, film: Film) -> None:
    """Below the threshold stage 3 is not run and takes no time; H2 is there."""
    reading = build(pneumonia=1.0).read(film)
    assert not reading.pneumonia.positive
    assert (reading.covid19, reading.h3, reading.guided) == (None, None, None)
    assert reading.seconds["covid19"] == 0.0
    assert reading.h2.shape == (128, 128)


def test_stage_3_can_be_forced(build: Build, film: Film) -> None:
    """Forcing adds stage 3 and changes nothing before it."""
    negative = build(pneumonia=1.0)
    forced, plain = negative.read(film, force_stage3=True), negative.read(film)
    assert forced.covid19 is not None
    assert forced.pneumonia == plain.pneumonia
    np.testing.assert_array_equal(forced.h2, plain.h2)


def test_guided_grad_cam_can_be_left_out(build: Build, film: Film) -> None:
    """Without it everything else is the same."""
    whole = build()
    with_it, without = whole.read(film), whole.read(film, guided=False)
    assert without.guided is None
    assert with_it.covid19 is not None
    assert without.covid19 is not None
    assert without.covid19.logit == pytest.approx(with_it.covid19.logit, abs=1e-5)
    assert with_it.h3 is not None
    assert without.h3 is not None
    np.testing.assert_allclose(without.h3, with_it.h3, atol=1e-5)


def test_a_film_without_lungs_is_still_read(build: Build, film: Film) -> None:
    """No lungs found: an area of 0 and silent maps, no error."""
    reading = build(lungs=0.999999).read(film)
    assert reading.lungs.area_fraction == 0
    assert not reading.lungs.mask.any()
    assert not reading.h2.any()
    assert reading.guided is not None
    assert not reading.guided.any()


def test_lung_area_is_a_share_of_the_film(build: Build, film: Film) -> None:
    """Of the film's own area, not of the square with its padding."""
    reading = build().read(film)
    share = reading.lungs.mask.sum() / (reading.frame.height * reading.frame.width)
    assert reading.lungs.area_fraction == pytest.approx(share)
    assert reading.lungs.aerated.dtype == np.bool_


def test_the_literal_eq_1_is_another_map(build: Build, film: Film) -> None:
    """`paper-eq1` changes H2 and leaves stage 2's logit alone."""
    ours, papers = build().read(film), build(h2="paper-eq1").read(film)
    assert ours.pneumonia.logit == papers.pneumonia.logit
    assert papers.h2.max() > 0
    assert not np.allclose(ours.h2, papers.h2)


@pytest.mark.parametrize("floor", [0.0, 0.5])
def test_reading_equals_the_batched_stages(build: Build, film: Film, floor: float) -> None:
    """What evaluation measures, batched, is what the node says, film by film."""
    whole = build(h2_floor=floor)
    reading = whole.read(film)
    pixels, frame = preprocess.to_network(film, 128)
    x = torch.from_numpy(pixels)[None, None].repeat(2, 1, 1, 1)
    area = preprocess.film_area(frame)
    with torch.inference_mode():
        lungs = steps.lung_masks(steps.stage1(whole.lungs, x), [area, area], 0.01)
        masked = steps.masked(x, lungs, 4, [area, area])
        field = steps.field_of(lungs)
        pneumonia, h2 = steps.stage2(whole.pneumonia, masked, field)
        covid19, h3 = steps.stage3(whole.covid19, masked, h2, field, floor)
    assert reading.covid19 is not None
    assert reading.h3 is not None
    assert pneumonia.tolist() == pytest.approx([reading.pneumonia.logit] * 2, abs=1e-4)
    assert covid19.tolist() == pytest.approx([reading.covid19.logit] * 2, abs=1e-4)
    np.testing.assert_allclose(h2[1, 0].numpy() * area, reading.h2, atol=1e-4)
    np.testing.assert_allclose(h3[1, 0].numpy() * area, reading.h3, atol=1e-4)


def test_the_networks_learn_through_the_same_stages(densenet: ChestDenseNet) -> None:
    """Gradients reach the network from the logit, and not through the heatmap."""
    densenet.requires_grad_(True)
    x_masked = torch.randn(1, 1, 64, 64)
    field = torch.ones(1, 1, 64, 64)
    logits, h2 = steps.stage2(densenet, x_masked, field)
    assert logits.requires_grad
    assert not h2.requires_grad
    logits, h3 = steps.stage3(densenet, x_masked, h2, field)
    assert logits.requires_grad
    assert not h3.requires_grad
    densenet.requires_grad_(False)


def test_no_film_meets_a_network_that_is_cold(build: Build, film: Film) -> None:
    """Warming up runs each network in every shape in which a film of any score does."""
    shapes: set[tuple[int, tuple[int, ...]]] = set()
    whole = build(heat_drop=-1.0)
    hooks = [
        network.register_forward_pre_hook(
            lambda _, inputs, number=number: shapes.add((number, tuple(inputs[0].shape)))
        )
        for number, network in enumerate((whole.lungs, whole.pneumonia))
    ]
    whole.warm_up()
    warm = shapes.copy()
    whole.read(film)
    for hook in hooks:
        hook.remove()
    assert shapes == warm


def test_guidance_ends_with_the_reading(build: Build, film: Film) -> None:
    """After stage 3 every ReLU is plain again and no gradient is kept."""
    whole = build()
    whole.read(film)
    assert not any(getattr(m, "guided", False) is True for m in whole.covid19.modules())
    assert all(p.grad is None and not p.requires_grad for p in whole.covid19.parameters())


def test_randomised_weights_change_the_maps(build: Build, film: Film) -> None:
    """Adebayo et al. 2018: a map that survives other weights would show the film, not the net."""
    one, other = build(), build()
    torch.manual_seed(9)
    fresh = ChestDenseNet().eval()
    swapped = Cascade(
        lungs=one.lungs,
        pneumonia=fresh,
        covid19=one.pneumonia,
        settings=other.settings,
        identity=other.identity,
    )
    first, second = one.read(film), swapped.read(film)
    assert np.abs(first.h2 - second.h2).mean() > 0.01
    assert first.h3 is not None
    assert second.h3 is not None
    assert np.abs(first.h3 - second.h3).mean() > 0.01


@pytest.mark.parametrize(
    ("logit", "temperature", "probability"),
    [(0.0, 1.0, 0.5), (2.0, 2.0, 0.7310586), (-3.0, 1.0, 0.0474259), (-1e4, 0.5, 0.0), (1e4, 1, 1)],
)
def test_a_temperature_calibrates_the_logit(
    logit: float, temperature: float, probability: float
) -> None:
    """sigmoid(logit / temperature), without overflow; the raw logit is kept."""
    result = OperatingPoint(threshold=0.5, temperature=temperature).decide(logit)
    assert result.probability == pytest.approx(probability, abs=1e-6)
    assert result.logit == logit
    assert replace(result, threshold=result.probability).positive


def test_heat_is_drawn_in_the_lung_field_alone(build: Build, film: Film) -> None:
    """However wide the margin of what stage 2 sees, the whole film included."""
    for margin in (4, None):
        reading = build(margin=margin).read(film)
        assert reading.h3 is not None
        assert not reading.h2[~reading.lungs.mask].any()
        assert not reading.h3[~reading.lungs.mask].any()


def test_another_prevalence_moves_probability_and_threshold_alike() -> None:
    """Bayes' rule: at one film in ten instead of one in two, even odds become one to nine."""
    point = OperatingPoint(threshold=0.6, temperature=2.0, bias=-1.0)
    moved = point.moved(0.5, 0.1)
    assert moved.decide(1.0).probability == pytest.approx(0.1)
    for logit in (-3.0, 1.0, 1.7, 1.9, 40.0):
        assert moved.decide(logit).positive == point.decide(logit).positive
    assert point.moved(0.3, 0.3).decide(0.4).probability == pytest.approx(
        point.decide(0.4).probability
    )
