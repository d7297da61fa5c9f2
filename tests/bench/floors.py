"""The arithmetic floor: a network's operations over this machine's best rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from bench.machine import times
from bench.weights import cascade
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from dicom_node.config import Config
from models.steps import guided_stage3

# (channels, side) of 3 x 3 convolutions, large enough to use every core.
_SHAPES = ((128, 128), (256, 64), (512, 32))
_REPEAT = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: the entries of `Reading.seconds` that time it, and its GFLOP."""

    name: str
    keys: tuple[str, ...]  # of Reading.seconds
    gflop: float

    @property
    def floor(self) -> float:
        """Least possible seconds on this machine."""
        return self.gflop / peak_gflops()


@cache
def peak_gflops() -> float:
    """The best rate of a 3 x 3 convolution: float32, channels last, the worker's threads."""
    torch.set_num_threads(Config().workers.threads)
    return max(_rate(channels, side) for channels, side in _SHAPES)


def _rate(channels: int, side: int) -> float:
    x = torch.rand(1, channels, side, side).to(memory_format=torch.channels_last)
    weight = torch.rand(channels, channels, 3, 3).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        spent = times(lambda: functional.conv2d(x, weight, padding=1), _REPEAT)
    return 2 * 9 * channels**2 * side**2 / 1e9 / spent.best


@cache
def stages() -> tuple[Stage, ...]:
    """The three stages; the third with its explanation, which is a backward pass."""
    networks = cascade(folded=False)  # the counter does not know packed convolutions
    size = networks.settings.size
    x = torch.rand(1, 1, size, size)

    def explained() -> None:
        guided_stage3(networks.covid19, x, x, x)

    return (
        Stage(name="lungs", keys=("lungs",), gflop=_gflop(lambda: networks.lungs(x))),
        Stage(name="pneumonia", keys=("pneumonia",), gflop=_gflop(lambda: networks.pneumonia(x))),
        Stage(name="covid19 + explain", keys=("covid19", "explain"), gflop=2 * _gflop(explained)),
    )


def whole_floor() -> float:
    """Least possible seconds for the networks on one film."""
    return sum(stage.floor for stage in stages())


def _gflop(action: Callable[[], Tensor | None]) -> float:
    with FlopCounterMode(display=False) as counter:
        action()
    return float(counter.get_total_flops()) / 1e9
