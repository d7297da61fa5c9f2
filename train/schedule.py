"""How long and how hard to train, and where each step's randomness comes from."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from torch import Generator

_WARM = 0.2  # share of a phase in which its learning rate rises


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of training at one resolution; small films first, then the deployed size."""

    size: int  # side of the network frame, pixels
    batch: int
    steps: int
    learning_rate: float  # at its peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how hard to train."""

    phases: tuple[Phase, ...]
    seed: int = 20260101
    weight_decay: float = 0.02
    body_rate: float = 1.0  # learning rate of all but a classifier's last layers, share of it
    ema: float = 0.99  # share of the running average that each step keeps
    validate_every: int = 50  # steps
    checkpoint_seconds: float = 180.0
    accelerator: str = "cpu"  # or "cuda", "mps", "auto"
    devices: int = 1  # more than one: DDP, each takes its share of `Phase.batch`
    precision: str = "32-true"  # "bf16-mixed" is faster only where the hardware multiplies in it
    threads: int = 2


def learning_rate(step: int, phase: Phase) -> float:
    """The learning rate of a step: a linear rise, then a cosine to 0.

    It rises over the first `_WARM` of the phase to ``phase.learning_rate``.

    Parameters
    ----------
    step
        From 0 to ``phase.steps`` - 1.
    phase
        Gives the peak and the number of steps.
    """
    done = (step + 1) / phase.steps
    if done < _WARM:
        return phase.learning_rate * done / _WARM
    return phase.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (done - _WARM) / (1.0 - _WARM)))


def step_generator(seed: int, phase: int, step: int) -> Generator:
    """The randomness of one step: a CPU generator, the same for the same three numbers."""
    digest = hashlib.sha256(f"{seed} {phase} {step} 0".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:7]))
