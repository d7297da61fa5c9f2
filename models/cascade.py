"""Lungs, then pneumonia, then COVID-19: the paper's three stages with an early exit.

`Cascade.read` takes the steps of `models.steps` for one film, timed and explained.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import cam, heat_check, preprocess, steps
from models.classifier import ChestClassifier
from models.gate import Gate
from models.operating import OperatingPoint
from models.reading import (
    BoolMap,
    FloatMap,
    Lungs,
    ModelIdentity,
    Reading,
    StageResult,
)
from models.steps import H2Variant, MaskedFilm


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that belongs to a model version besides its weights."""

    size: int = 512  # side of the network frame, pixels
    mask_margin: int | None = 16  # added around the lung field, network pixels; None: whole film
    h2: H2Variant = "cam"
    h2_floor: float = 0.0  # of the film that stage 3 sees where H2 is 0, in [0, 1]; 0: eq. 3
    lung_threshold: float = 0.5
    heat_drop: float = 0.02  # of the probability, see `heat_check.least_log_odds_drop`
    pneumonia: OperatingPoint = OperatingPoint(threshold=0.5)  # noqa: RUF009 - frozen
    covid19: OperatingPoint = OperatingPoint(threshold=0.5)  # noqa: RUF009 - frozen


class Cascade:
    """The three networks with their settings, ready to read; one film at a time.

    The networks are put into eval mode and frozen. Not for sharing between threads: guided
    backpropagation switches the third network's ReLUs for the time of a forward pass.

    Parameters
    ----------
    lungs, pneumonia, covid19
        With their weights; the classifiers have one backbone.
    settings
        Frame, masking, heatmap and operating points.
    identity
        Goes into every `Reading`.
    gate
        Measures the distance of each film; `read` does not refuse. None: every distance is 0.
    """

    def __init__(
        self,
        *,
        lungs: nn.Module,
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

    def deciding(self, pneumonia: OperatingPoint, covid19: OperatingPoint) -> Cascade:
        """Return the same networks with other operating points of stages 2 and 3."""
        other = copy.copy(self)
        other.settings = replace(self.settings, pneumonia=pneumonia, covid19=covid19)
        return other

    @torch.inference_mode()
    def mask(self, image: NDArray[np.float32]) -> MaskedFilm:
        """Find the lungs of one film, (H, W) float32 in [0, 1], 1 white, and mask it."""
        pixels, frame = preprocess.to_network(image, self.settings.size)
        x, area = torch.from_numpy(pixels)[None, None], preprocess.film_area(frame)
        lungs = steps.lung_masks(steps.stage1(self.lungs, x), [area], self.settings.lung_threshold)
        return MaskedFilm(
            frame=frame,
            area=area,
            x=x,
            lungs=lungs,
            masked=steps.masked(x, lungs, self.settings.mask_margin, [area]),
        )

    def warm_up(self) -> None:
        """Run every network once: the first film after start is not slower than later ones."""
        size = self.settings.size
        grey = np.full((4 * size, 3 * size), 0.5, dtype=np.float32)
        if self.gate:
            self.gate.look(grey)
        self.read(grey, force_stage3=True)

    def read(
        self, image: NDArray[np.float32], *, force_stage3: bool = False, guided: bool = True
    ) -> Reading:
        """Read one film.

        Parameters
        ----------
        image
            (H, W) float32 in [0, 1], 1 white.
        force_stage3
            Run stage 3 even if stage 2 is negative.
        guided
            Compute Guided Grad-CAM, a backward pass, if stage 3 runs.

        Returns
        -------
        Reading
            With ``covid19`` and ``h3`` only if stage 3 ran. A film without lungs is
            read, too, with ``lungs.area_fraction`` 0. ``seconds["lungs"]`` includes letterboxing
            and masking, ``seconds["explain"]`` Guided Grad-CAM and the check of H2.
        """
        reading, x_masked, h2 = self._screen(image)
        if not (reading.pneumonia.positive or force_stage3):
            return reading
        return self._differentiate(reading, x_masked, h2, guided=guided)

    @torch.inference_mode()
    def _screen(self, image: NDArray[np.float32]) -> tuple[Reading, Tensor, Tensor]:
        """Stages 1 and 2: a reading without stage 3, and what stage 3 would be given."""
        began = perf_counter()
        film = self.mask(image)
        area, x_masked = film.area, film.masked
        segmented = perf_counter()
        features = self.pneumonia.features(x_masked)
        logit = self.pneumonia.classify(features)
        h2 = steps.heat(self.pneumonia, features, film.field, self.settings.h2)
        everywhere = steps.heat(self.pneumonia, features, x_masked != 0, self.settings.h2)
        classified = perf_counter()
        reading = Reading(
            frame=film.frame,
            lungs=_lungs(film),
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
                self._decisions,
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

    def _decisions(self, x_masked: Tensor) -> list[StageResult]:
        """Stage 2's decisions on masked films (B, 1, S, S), seen one after the other.

        Convolutions are packed for the first size of a batch; for another one they are slow.
        """
        logits = [self.pneumonia(x_masked[at : at + 1]).item() for at in range(len(x_masked))]
        return [self.settings.pneumonia.decide(each) for each in logits]

    def _differentiate(
        self, reading: Reading, x_masked: Tensor, h2: Tensor, *, guided: bool
    ) -> Reading:
        """Stage 3 and its maps, added to a reading of stages 1 and 2."""
        began = perf_counter()
        area = preprocess.film_area(reading.frame)
        field = torch.from_numpy(reading.lungs.mask)[None, None]
        given = (self.covid19, x_masked, h2, field, self.settings.h2_floor)
        fine = None
        if guided:
            logits, h3, gradient = steps.guided_stage3(*given)
            classified = perf_counter()
            fine = cam.guided_grad_cam(gradient(), h3)
        else:
            with torch.inference_mode():
                logits, h3 = steps.stage3(*given)
            classified = perf_counter()
        spent = {
            "covid19": classified - began,
            "explain": reading.seconds["explain"] + perf_counter() - classified,
        }
        return replace(
            reading,
            covid19=self.settings.covid19.decide(logits.item()),
            h3=_on_film(h3, area),
            guided=None if fine is None else _on_film(fine, area),
            seconds=reading.seconds | spent,
        )


def _lungs(film: MaskedFilm) -> Lungs:
    aerated, field = (mask.numpy().astype(np.bool_) for mask in film.lungs[0])
    return Lungs(
        mask=field,
        aerated=aerated,
        area_fraction=film.lung_share,
        asymmetry=film.asymmetry,
    )


def _on_film(one: Tensor, area: BoolMap) -> FloatMap:
    """Convert one map (1, 1, S, S) to numpy (S, S), with 0 in the padding."""
    return np.where(area, one[0, 0].numpy(), np.float32(0.0))
