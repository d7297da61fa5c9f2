"""Eq. 2 on a stage's last block: the site's films teach, the replay set keeps what was known."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from train.adapt.tail import Tail
from train.data.sampler import even_draw
from train.evaluation import metrics
from train.schedule import Phase, learning_rate, step_generator
from train.stages.losses import incremental_loss, smooth


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """How long and how hard the tail learns."""

    steps: int = 120
    batch: int = 32  # films of the site, half of them ill, and as many of the replay set
    places: int = 32  # of each film at each step: another part of it each time
    learning_rate: float = 5e-4
    weight_decay: float = 0.02
    distil: float = 8.0  # λ of eq. 2
    smoothing: float = 0.05
    keep: float = 0.95  # of the running average, at each step
    validate_every: int = 40
    seed: int = 20260101


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """Films of one split before the tail, (N, places, channels), and which are ill, (N,)."""

    places: Tensor
    ill: Tensor


class NothingLearned(Exception):
    """No step was better on the validation films than the version that teaches."""


def learn(teacher: Tail, train: Taught, val: Taught, replay: Tensor, lesson: Lesson) -> Tail:
    """Teach a tail by paper eq. 2: the site's films are new, the replay set is D_o.

    The teacher's own answers to the replay set are what eq. 2 distils; the same places are shown
    to both.

    Parameters
    ----------
    teacher
        Frozen by this function.
    train, val
        The site's films; both splits have ill films and others.
    replay
        Places of public films, (N, places, channels).
    lesson
        How long and how hard.

    Returns
    -------
    Tail
        The running average with the best AUC on ``val``.

    Raises
    ------
    NothingLearned
        It was never better than the teacher.
    """
    teacher.requires_grad_(False)
    student, average = copy.deepcopy(teacher).requires_grad_(True), copy.deepcopy(teacher)
    best: Tail | None = None
    best_score = _auc(teacher, val)
    optimizer = torch.optim.AdamW(student.parameters(), weight_decay=lesson.weight_decay)
    phase = Phase(size=0, batch=lesson.batch, steps=lesson.steps,
                  learning_rate=lesson.learning_rate)  # fmt: skip
    sides = [torch.nonzero(train.ill == ill).flatten().tolist() for ill in (False, True)]
    for step in track(range(lesson.steps), "learning"):
        generator = step_generator(lesson.seed, 0, step)
        loss = _loss(student, teacher, train, sides, replay, lesson, generator)
        optimizer.param_groups[0]["lr"] = learning_rate(step, phase)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        _follow(average, student, min(lesson.keep, (step + 1) / (step + 10)))
        if (step + 1) % lesson.validate_every == 0:
            score = _auc(average, val)
            print(f"step={step + 1} loss={loss.item():.4g} auc={score:.4g}")
            if score > best_score:
                best, best_score = copy.deepcopy(average), score
    if best is None:
        raise NothingLearned(
            "the site's validation films are read no better than by the version that teaches (AUC "
            f"{best_score:.3f}): are the verdicts right?"
        )
    return best


def _loss(  # noqa: PLR0913 - what eq. 2 takes
    student: Tail,
    teacher: Tail,
    train: Taught,
    sides: list[list[int]],
    replay: Tensor,
    lesson: Lesson,
    generator: torch.Generator,
) -> Tensor:
    chosen = even_draw(sides, lesson.batch, generator)
    some = torch.randperm(train.places.shape[1], generator=generator)[: lesson.places]
    old = torch.randint(len(replay), (lesson.batch,), generator=generator)
    shown, kept = train.places[chosen][:, some].float(), replay[old]
    logits = torch.cat([student(shown), student(kept)])
    with torch.no_grad():
        known = teacher(kept)
    targets = smooth(train.ill[chosen].float(), lesson.smoothing)
    nothing = torch.zeros(len(chosen))
    return incremental_loss(
        logits,
        torch.cat([targets, nothing]),
        weights=torch.cat([nothing + 1.0, nothing]),
        previous=torch.cat([nothing, known]),
        original=torch.cat([nothing, nothing + 1.0]),
        lam=lesson.distil,
    )


@torch.no_grad()
def _follow(average: Tail, student: Tail, keep: float) -> None:
    for mine, theirs in zip(average.parameters(), student.parameters(), strict=True):
        mine.lerp_(theirs, 1.0 - keep)


def _auc(tail: Tail, films: Taught) -> float:
    logits, _ = tail.all(films.places)
    return metrics.auc(logits.double().numpy(), np.asarray(films.ill.numpy(), np.bool_))
