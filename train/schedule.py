"""How long and how hard to train, and where each step's randomness comes from."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from torch import Generator


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


def learning_rate(step: int, phase: Phase, warm: float = 0.2) -> float:
    """Rise linearly over the first ``warm`` share of the phase, then fall as a cosine to 0."""
    done = (step + 1) / phase.steps
    if done < warm:
        return phase.learning_rate * done / warm
    return phase.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (done - warm) / (1.0 - warm)))


def step_generator(seed: int, phase: int, step: int) -> Generator:
    """Give the randomness of one step."""
    digest = hashlib.sha256(f"{seed} {phase} {step} 0".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:7]))
