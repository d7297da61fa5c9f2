"""Lungs, then pneumonia, then COVID-19: the paper's three stages with an early exit.

The functions ``stage1`` to ``stage3`` take batches and are what training and evaluation call too;
`Cascade.read` is the same steps for one film, timed and explained. Everything is float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import cam, heat_check, preprocess, unet
from models.classifier import ChestClassifier
from models.gate import Gate
from models.reading import BoolMap, FloatMap, Lungs, ModelIdentity, Reading, StageResult

H2Variant: TypeAlias = Literal["cam", "paper-eq1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """How a logit becomes a decision: sigmoid((logit + bias) / temperature) against a threshold."""

    threshold: float  # probability in [0, 1]
    temperature: float = 1.0  # > 0
    bias: float = 0.0
    normals_above: float | None = None  # share of normal films at or above the threshold

    def decide(self, logit: float) -> StageResult:
        """Calibrate one logit."""
        return StageResult(
            probability=_sigmoid((logit + self.bias) / self.temperature),
            threshold=self.threshold,
            logit=logit,
            temperature=self.temperature,
            normals_above=self.normals_above,
        )

    def moved(self, learned: float, prevalence: float) -> OperatingPoint:
        """Move probabilities and threshold from one prevalence to another, by Bayes' rule.

        Bayes' rule adds the difference of the prevalences' log odds to every log odds, so every
        film stays on its side of the threshold.
        """
        shift = _log_odds(prevalence) - _log_odds(learned)
        inside = 0.0 < self.threshold < 1.0
        return replace(
            self,
            bias=self.bias + shift * self.temperature,
            threshold=_sigmoid(_log_odds(self.threshold) + shift) if inside else self.threshold,
        )


def _sigmoid(z: float) -> float:
    """Logistic function; tanh never overflows, whatever the logit."""
    return 0.5 * (1.0 + math.tanh(0.5 * z))


def _log_odds(probability: float) -> float:
    return math.log(probability) - math.log1p(-probability)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that belongs to a model version besides its weights."""

    size: int = 512  # side of the network frame, pixels
    mask_margin: int | None = 16  # added around the lung field, network pixels; None: whole film
    h2: H2Variant = "cam"
    lung_threshold: float = 0.5
    heat_drop: float = 0.02  # of the probability; what H2's hottest region must be worth
    pneumonia: OperatingPoint = OperatingPoint(threshold=0.5)
    covid19: OperatingPoint = OperatingPoint(threshold=0.5)


def stage1(network: unet.LungUNet, x: Tensor) -> Tensor:
    """Films (B, 1, S, S) in [0, 1] -> lung logits (B, 2, S, S)."""
    return cast(Tensor, network(x))


def lung_masks(logits: Tensor, areas: Sequence[BoolMap], threshold: float) -> Tensor:
    """Lung logits (B, 2, S, S) -> cleaned masks of zeros and ones, same shape, float32.

    ``areas`` says for each film where the frame holds film; lungs in the padding are dropped.
    """
    films = zip(logits, areas, strict=True)
    cleaned = [np.stack(unet.masks(one, area, threshold)) for one, area in films]
    return torch.from_numpy(np.stack(cleaned)).float()


def masked(x: Tensor, lungs: Tensor, margin: int | None, areas: Sequence[BoolMap]) -> Tensor:
    """What stage 2 sees, (B, 1, S, S): the film inside the lung field of `lung_masks`, grown.

    ``areas`` says where the frame holds film; with a ``margin`` of None all of it is shown.
    """
    film = torch.from_numpy(np.stack(areas))[:, None].to(x.dtype)
    inside = film if margin is None else preprocess.dilate(field_of(lungs), margin) * film
    return preprocess.mask_film(x, inside, 0)


def field_of(lungs: Tensor) -> Tensor:
    """The lung field of `lung_masks`, (B, 1, S, S): the only place where heat is drawn."""
    return lungs[:, unet.FIELD : unet.FIELD + 1]


def stage2(
    network: ChestClassifier, x_masked: Tensor, field: Tensor, variant: H2Variant = "cam"
) -> tuple[Tensor, Tensor]:
    """Masked films (B, 1, S, S) -> (pneumonia logits (B,), H2 (B, 1, S, S) without gradient).

    ``field`` (B, 1, S, S) holds zeros and ones; heat outside of it is not drawn.
    """
    features = network.features(x_masked)
    return network.classify(features), heat(network, features, field, variant)


def heat(
    network: ChestClassifier, features: Tensor, where: Tensor, variant: H2Variant = "cam"
) -> Tensor:
    """H2 of stage 2's last maps inside ``where``, both of size (B, ., S, S), without gradient."""
    maps, size = features.detach(), where.shape[-1]
    if variant == "paper-eq1":
        return cam.paper_eq1(maps.mean(dim=(2, 3)), size, seen=where)
    return cam.class_activation_map(maps, network.class_weight.detach(), size, seen=where)


def stage3(
    network: ChestClassifier, x_masked: Tensor, h2: Tensor, field: Tensor
) -> tuple[Tensor, Tensor]:
    """Masked films and their H2 -> (COVID-19 logits (B,), H3 (B, 1, S, S) without gradient)."""
    return _stage3_gated(network, preprocess.gate(x_masked, h2), field)


def guided_stage3(
    network: ChestClassifier, x_masked: Tensor, h2: Tensor, field: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """`stage3` on the same forward pass, ready for `guided_gradient`.

    Returns
    -------
    logits, h3, gated
        As `stage3`; ``gated`` is the stage's input (B, 1, S, S), the leaf of the graph.
    """
    # A clone outside inference mode is a tensor that autograd may use.
    gated = preprocess.gate(x_masked, h2).clone().requires_grad_()
    network.guide(True)
    try:
        with torch.enable_grad():
            logits, h3 = _stage3_gated(network, gated, field)
    finally:
        network.guide(False)
    return logits, h3, gated


def guided_gradient(logits: Tensor, gated: Tensor) -> Tensor:
    """Guided backpropagation of `guided_stage3`'s logits to its input: (B, 1, S, S)."""
    (gradient,) = torch.autograd.grad(logits.sum(), gated)
    return gradient


def _stage3_gated(network: ChestClassifier, gated: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    features = network.features(gated)
    weight = network.class_weight.detach()
    h3 = cam.grad_cam(features.detach(), weight, gated.shape[-1], seen=seen)
    return network.classify(features), h3


class Cascade:
    """The three networks with their settings, ready to read; one film at a time.

    The networks are put into eval mode and frozen. Not for sharing between threads: guided
    backpropagation switches the third network's ReLUs for the time of a forward pass.
    """

    def __init__(
        self,
        *,
        lungs: unet.LungUNet,
        pneumonia: ChestClassifier,
        covid19: ChestClassifier,
        settings: Settings,
        identity: ModelIdentity,
        gate: Gate | None = None,
    ) -> None:
        self.lungs, self.pneumonia, self.covid19, self.gate = lungs, pneumonia, covid19, gate
        self.settings = settings
        self.identity = identity
        for network in (lungs, pneumonia, covid19):
            network.eval().requires_grad_(False)
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def read(self, image: NDArray[np.float32], *, force_stage3: bool = False) -> Reading:
        """Read one film, (H, W) float32 in [0, 1], 1 white.

        Stage 3 runs where stage 2 is positive, or always with ``force_stage3``. A film without
        lungs is read too, with ``lungs.area_fraction`` 0. Under ``seconds["lungs"]`` stand
        letterboxing and masking as well, under ``explain`` Guided Grad-CAM and the check of H2.
        """
        reading, x_masked, h2 = self._screen(image)
        if not (reading.pneumonia.positive or force_stage3):
            return reading
        return self._differentiate(reading, x_masked, h2)

    @torch.inference_mode()
    def _screen(self, image: NDArray[np.float32]) -> tuple[Reading, Tensor, Tensor]:
        """Stages 1 and 2: a reading without stage 3, and what stage 3 would be given."""
        began = perf_counter()
        pixels, frame = preprocess.to_network(image, self.settings.size)
        area = preprocess.film_area(frame)
        x = torch.from_numpy(pixels)[None, None]
        lungs = lung_masks(stage1(self.lungs, x), [area], self.settings.lung_threshold)
        x_masked = masked(x, lungs, self.settings.mask_margin, [area])
        field = field_of(lungs)
        segmented = perf_counter()
        features = self.pneumonia.features(x_masked)
        logit = self.pneumonia.classify(features)
        h2 = heat(self.pneumonia, features, field, self.settings.h2)
        everywhere = heat(self.pneumonia, features, x_masked != 0, self.settings.h2)
        classified = perf_counter()
        reading = Reading(
            frame=frame,
            lungs=_lungs(lungs[0], area),
            pneumonia=self.settings.pneumonia.decide(logit.item()),
            covid19=None,
            h2=_on_film(h2, area),
            h3=None,
            guided=None,
            model=self.identity,
            distance=self.gate.distance(features.mean(dim=(2, 3))[0]) if self.gate else 0.0,
        )
        reading = replace(
            reading,
            heat_check=heat_check.check(
                reading,
                _on_film(everywhere, area),
                x_masked,
                self._probabilities,
                self.settings.heat_drop,
            ),
        )
        seconds = {
            "lungs": segmented - began,
            "pneumonia": classified - segmented,
            "covid19": 0.0,
            "explain": perf_counter() - classified,
        }
        return replace(reading, seconds=seconds), x_masked, h2

    def _probabilities(self, x_masked: Tensor) -> list[float]:
        """Stage 2's, calibrated, of films (B, 1, S, S)."""
        logits = self.pneumonia(x_masked).tolist()
        return [self.settings.pneumonia.decide(logit).probability for logit in logits]

    def _differentiate(self, reading: Reading, x_masked: Tensor, h2: Tensor) -> Reading:
        """Stage 3 and its maps, added to a reading of stages 1 and 2."""
        began = perf_counter()
        area = preprocess.film_area(reading.frame)
        field = torch.from_numpy(reading.lungs.mask)[None, None]
        logits, h3, gated = guided_stage3(self.covid19, x_masked, h2, field)
        covid19 = self.settings.covid19.decide(logits.item())
        classified = perf_counter()
        guided = cam.guided_grad_cam(guided_gradient(logits, gated), h3)
        spent = {
            "covid19": classified - began,
            "explain": reading.seconds["explain"] + perf_counter() - classified,
        }
        return replace(
            reading,
            covid19=covid19,
            h3=_on_film(h3, area),
            guided=_on_film(guided, area),
            seconds=reading.seconds | spent,
        )


def _lungs(masks: Tensor, area: BoolMap) -> Lungs:
    aerated, field = (mask.numpy().astype(np.bool_) for mask in masks)
    height = int(area.any(axis=1).sum())
    return Lungs(
        mask=field,
        aerated=aerated,
        area_fraction=float(field.sum() / area.sum()),
        asymmetry=unet.asymmetry(field, height),
    )


def _on_film(one: Tensor, area: BoolMap) -> FloatMap:
    """One map (1, 1, S, S) as numpy; the mask's margin may reach into the padding, heat may not."""
    return np.where(area, one[0, 0].numpy(), np.float32(0.0))
