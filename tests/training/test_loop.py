"""The loop, on a network of a few weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from train.loop import fit
from train.schedule import Phase, Schedule, learning_rate, step_generator


class _Line:
    """Learn whether a point lies right of a line; each step draws its own batch."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        self.network: nn.Module = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
            nn.Linear(64, 1),
        )  # fmt: skip
        self.sizes: list[int] = []

    def prepare(self, size: int) -> None:
        self.sizes.append(size)

    def batch(self, phase: Phase, generator: Generator) -> dict[str, Tensor]:
        x, y = self._draw(phase.batch, generator)
        return {"x": x, "y": y}

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return functional.binary_cross_entropy_with_logits(network(batch["x"])[:, 0], batch["y"])

    def validate(self, network: nn.Module, phase: Phase) -> dict[str, float]:
        x, y = self._draw(64, step_generator(9, 9, 9))
        return {"score": ((network(x)[:, 0] > 0) == (y > 0.5)).float().mean().item()}

    def _draw(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        y = torch.randint(2, (count,), generator=generator).float()
        noise = torch.randn(count, 1, 4, 4, generator=generator)
        return noise * 0.5 + (2 * y - 1)[:, None, None, None], y


def _schedule(precision: str = "32-true") -> Schedule:
    phases = (
        Phase(size=4, batch=8, steps=12, learning_rate=0.02),
        Phase(size=8, batch=8, steps=8, learning_rate=0.01),
    )
    return Schedule(phases=phases, validate_every=5, threads=1, precision=precision)


def _same(one: Path, other: Path) -> bool:
    a, b = (torch.load(path, weights_only=True) for path in (one, other))
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_network_learns(tmp_path: Path) -> None:
    """The loop brings an easy task to nearly all right and leaves the best weights."""
    task = _Line()
    best = fit(task, _schedule(), tmp_path)
    task.network.load_state_dict(torch.load(best, weights_only=True))
    task.network.eval()
    with torch.inference_mode():
        assert task.validate(task.network, _schedule().phases[0])["score"] > 0.95


@pytest.mark.parametrize("stop_after", [3, 12, 15])
def test_a_killed_run_ends_where_an_unbroken_one_does(tmp_path: Path, stop_after: int) -> None:
    """Stopped within a phase or between two and resumed, the weights are the same to the bit."""
    whole = fit(_Line(), _schedule(), tmp_path / "whole")
    fit(_Line(), _schedule(), tmp_path / "broken", stop_after=stop_after)
    resumed = fit(_Line(), _schedule(), tmp_path / "broken")
    assert _same(whole, resumed)
    assert (tmp_path / "whole/log.csv").read_text() == (tmp_path / "broken/log.csv").read_text()


def test_two_runs_of_one_seed_are_the_same(tmp_path: Path) -> None:
    """Two runs of one configuration give the same weights."""
    assert _same(
        fit(_Line(), _schedule(), tmp_path / "a"), fit(_Line(), _schedule(), tmp_path / "b")
    )


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    """Starting a finished run again changes nothing."""
    best = fit(_Line(), _schedule(), tmp_path)
    before = best.read_bytes()
    task = _Line()
    fit(task, _schedule(), tmp_path)
    assert task.sizes == []
    assert best.read_bytes() == before


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    """The learning rate peaks a fifth into the phase and ends at 0."""
    phase = Phase(size=4, batch=8, steps=100, learning_rate=1.0)
    rates = [learning_rate(step, phase) for step in range(100)]
    assert rates.index(max(rates)) in (18, 19, 20)
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[-1] == pytest.approx(0.0, abs=1e-6)


def test_no_two_steps_share_their_randomness() -> None:
    """Every step of every phase has its own randomness."""
    firsts = {
        torch.rand((), generator=step_generator(1, phase, step)).item()
        for phase in range(3)
        for step in range(50)
    }
    assert len(firsts) == 150
