"""The gate's network: frontal, lateral, part or other; upright or turned; right way or inverted.

Turned, inverted and cut films are made from upright frontal ones. There are few laterals, so
a base is trained without them. Its last steps, with laterals, are cheap and are repeated with each
share of the laterals left out: that is how laterals are evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models import gate, preprocess
from train.data import augment
from train.data.manifest import Row
from train.gate import negatives
from train.gate.negatives import Picture
from train.schedule import Phase

FRONTAL, LATERAL, PART, OTHER = range(len(gate.KINDS))
_LATERAL_VIEWS = {"L", "LL", "RL", "LAT", "LATERAL"}
#: Training pictures are kept at about this size.
_KEPT = 256
_GEOMETRY = augment.Geometry(turn=0.14, zoom=0.08, shift=0.05)


def is_lateral(row: Row) -> bool:
    """Whether the film is taken from the side."""
    return row.view.upper() in _LATERAL_VIEWS


def frontal_to_learn_from(rows: Sequence[Row], sources: Sequence[str]) -> list[Row]:
    """Frontal training films of these sources, without those of a patient in another split.

    The split ``gate-lateral`` does not count as another one.
    """
    held_out = {row.group for row in rows if row.split not in ("train", "gate-lateral")}
    films = [row for row in rows if row.split == "train" and row.source in sources]
    return [row for row in films if row.group not in held_out and not is_lateral(row)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Films:
    """The training films, in memory."""

    frontal: list[Picture]
    lateral: list[Picture]  # empty for the base
    other: list[Picture]


def small(picture: Picture) -> Picture:
    """Scale an image to `_KEPT` pixels on its long side, with its aspect; stretch its contrast."""
    step = max(1, min(picture.shape) // (2 * _KEPT))
    pixels, frame = preprocess.to_network(picture[::step, ::step], _KEPT)
    return np.asarray(frame.crop(pixels), np.float32)


class GateTask:
    """Frontal films, some turned or inverted, half of a batch or more; laterals, parts and others.

    Parameters
    ----------
    network
        The network to train, with the weights to start from.
    films
        To learn from; without laterals none are drawn.
    check
        To validate with.
    """

    def __init__(self, network: gate.GateNet, films: Films, check: Films) -> None:
        self.network: nn.Module = network
        self.films, self.check = films, check

    def prepare(self, size: int) -> None:
        """Do nothing; the network has one input size."""

    def batch(self, phase: Phase, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw and augment."""
        seed = int(torch.randint(2**31, (), generator=generator))
        drawn = [draw(self.films, i, np.random.default_rng([seed, i])) for i in range(phase.batch)]
        x = torch.from_numpy(np.stack([one.x for one in drawn]))[:, None]
        theta, targets = augment.affine(len(x), _GEOMETRY, generator), _targets(drawn)
        # The mirror image of a film that lies on its left side lies on its right one.
        turn, mirrored = targets["turn"], theta[:, 0, 0] < 0
        targets["turn"] = torch.where(mirrored, -turn % len(gate.TURNS), turn)
        return {"x": augment.expose(augment.warp(x, theta), generator), **targets}

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Cross-entropy of the kind; of turn and polarity where there is a chest."""
        kinds, turns, inverted = gate.parts(network(batch["x"]))
        loss = functional.cross_entropy(kinds, batch["kind"], label_smoothing=0.02)
        frontal, chest = batch["kind"] == FRONTAL, batch["kind"] != OTHER
        loss = loss + functional.cross_entropy(turns[frontal], batch["turn"][frontal])
        return loss + functional.binary_cross_entropy_with_logits(
            inverted[chest], batch["inverted"][chest]
        )

    def validate(self, network: nn.Module, phase: Phase) -> dict[str, float]:
        """Accuracies on pictures drawn once from ``check``; their mean is the score."""
        drawn = [draw(self.check, i, np.random.default_rng([7, i])) for i in range(8 * phase.batch)]
        x, targets = torch.from_numpy(np.stack([one.x for one in drawn]))[:, None], _targets(drawn)
        kinds, turns, inverted = gate.parts(network(x))
        frontal = targets["kind"] == FRONTAL
        right = {
            "kind": kinds.argmax(1) == targets["kind"],
            "turn": (turns.argmax(1) == targets["turn"])[frontal],
            "polarity": ((inverted > 0) == (targets["inverted"] > 0))[frontal],
        }
        shares = {name: value.float().mean().item() for name, value in right.items()}
        return shares | {"score": sum(shares.values()) / len(shares)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One training image as the network sees it, with its targets."""

    x: NDArray[np.float32]  # (SIZE, SIZE)
    kind: int
    turn: int = 0  # index into `gate.TURNS`
    inverted: bool = False


def draw(films: Films, index: int, rng: np.random.Generator) -> Drawn:
    """Draw one training image.

    Parameters
    ----------
    films
        The pictures to draw from.
    index
        Place in the batch. It decides the kind, so that all batches have the same shares of kinds.
    rng
        Of all other draws.
    """
    kinds = [FRONTAL, FRONTAL, FRONTAL, PART, OTHER] + ([LATERAL] if films.lateral else [])
    kind = kinds[index % len(kinds)]
    if kind == OTHER:
        return Drawn(x=_fit(_other(films, rng)), kind=kind)
    picture = _pick(films.lateral if kind == LATERAL else films.frontal, rng)
    turn = int(rng.integers(1, 4)) if rng.random() < (0.3, 0.1)[kind != FRONTAL] else 0
    inverted = bool(rng.random() < 0.3)
    picture = part_of(picture, rng) if kind == PART else _framed(picture, rng)
    picture = np.rot90(1 - picture if inverted else picture, turn)
    return Drawn(x=_fit(picture), kind=kind, turn=turn, inverted=inverted)


def part_of(picture: Picture, rng: np.random.Generator) -> Picture:
    """Cut away half of a film or more: from one side, or down to a close-up.

    What is left gets the shape of any film, so that its shape does not give it away.

    Parameters
    ----------
    picture
        (H, W) float32 in [0, 1].
    rng
        Of all draws.

    Returns
    -------
    array
        A view of 16 x 16 pixels or more.
    """
    sides = np.array(picture.shape)
    if rng.random() < 0.5:
        keep = np.ones(2)
        keep[rng.integers(2)] = rng.uniform(0.3, 0.48)
    else:
        keep = rng.uniform(0.2, 0.55, 2)
    cut = (keep * sides).astype(int)
    shape = rng.uniform(0.6, 1.3)  # rows to columns
    cut = np.minimum(cut, np.array([shape * cut[1], cut[0] / shape]).astype(int)).clip(16)
    room = sides - cut
    # A side is cut at the film's own edge; a close-up lies anywhere.
    place = rng.integers(0, 2, 2) if (keep == 1).any() else rng.random(2)
    top, left = (place * room).astype(int)
    return picture[top : top + cut[0], left : left + cut[1]]


def _framed(picture: Picture, rng: np.random.Generator) -> Picture:
    """Stretch one way, then trim the sides, or lay a border around as collimators and scanners do.

    What is left is a whole chest, at most without its outer margins.
    """
    stretch = np.exp(rng.uniform(-0.2, 0.2))
    columns = np.linspace(0, picture.shape[1] - 1, int(stretch * picture.shape[1]))
    picture = picture[:, columns.round().astype(int)]
    rows, wide = picture.shape
    if rng.random() < 0.75:
        top, bottom = (int(rng.uniform(0, 0.08) * rows) for _ in range(2))
        left, right = (int(rng.uniform(0, 0.06) * wide) for _ in range(2))
        return picture[top : rows - bottom, left : wide - right]
    widths = [[int(rng.uniform(0, 0.12) * side) for _ in range(2)] for side in picture.shape]
    return np.pad(picture, widths, constant_values=rng.choice([0.0, 0.0, 1.0, rng.random()]))


def _other(films: Films, rng: np.random.Generator) -> Picture:
    if rng.random() < 0.5 or not films.other:
        return negatives.drawn(rng, films.frontal + films.lateral)
    picture = _pick(films.other, rng)
    if rng.random() < 0.6:
        high, wide = (max(32, int(rng.uniform(0.5, 1) * side)) for side in picture.shape)
        top, left = (int(rng.integers(max(1, side - cut + 1)))
                     for side, cut in zip(picture.shape, (high, wide), strict=True))  # fmt: skip
        picture = picture[top : top + high, left : left + wide]
    picture = np.rot90(picture, int(rng.integers(4)))
    return 1 - picture if rng.random() < 0.3 else picture


def _pick(pictures: Sequence[Picture], rng: np.random.Generator) -> Picture:
    return pictures[int(rng.integers(len(pictures)))]


def _fit(picture: Picture) -> NDArray[np.float32]:
    return gate.to_gate(np.ascontiguousarray(picture))


def _targets(drawn: Sequence[Drawn]) -> dict[str, Tensor]:
    return {
        "kind": torch.tensor([one.kind for one in drawn]),
        "turn": torch.tensor([one.turn for one in drawn]),
        "inverted": torch.tensor([float(one.inverted) for one in drawn]),
    }
