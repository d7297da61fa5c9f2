"""The steps of the cascade, for batches of films: what the node, training and evaluation share.

B is the number of films and S the side of the network frame. Every tensor is float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from models import cam, preprocess, unet
from models.classifier import ChestClassifier
from models.reading import Asymmetry, BoolMap, Frame

H2Variant: TypeAlias = Literal["cam", "paper-eq1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedFilm:
    """One film after stage 1; S is the side of the network frame, tensors are float32."""

    frame: Frame
    area: BoolMap  # (S, S), where the frame holds film
    x: Tensor  # (1, 1, S, S), the film in [0, 1], contrast stretched
    lungs: Tensor  # (1, 2, S, S), zeros and ones; channels `unet.AERATED` and `unet.FIELD`
    masked: Tensor  # (1, 1, S, S), what stage 2 sees

    @property
    def field(self) -> Tensor:
        """The lung field, (1, 1, S, S): the only place where heat is drawn."""
        return field_of(self.lungs)

    @property
    def lung_share(self) -> float:
        """Share of the film that is lung field, in [0, 1]."""
        return float(self.field.sum() / self.area.sum())

    @property
    def asymmetry(self) -> Asymmetry | None:
        """How the outlines of the two lungs differ; None if there are not two."""
        field = self.field[0, 0].numpy().astype(np.bool_)
        return unet.asymmetry(field, int(self.area.any(axis=1).sum()))


def stage1(network: nn.Module, x: Tensor) -> Tensor:
    """Films (B, 1, S, S) in [0, 1] -> lung logits (B, 2, S, S)."""
    return cast(Tensor, network(x))


def lung_masks(logits: Tensor, areas: Sequence[BoolMap], threshold: float) -> Tensor:
    """Turn lung logits into cleaned masks, see `unet.masks`.

    Parameters
    ----------
    logits
        (B, 2, S, S).
    areas
        Where the frame holds film, one (S, S) for each film; lungs in the padding are dropped.
    threshold
        Probability from which on a pixel is lung, in (0, 1).

    Returns
    -------
    Tensor
        Zeros and ones, (B, 2, S, S) float32, channels `unet.AERATED` and `unet.FIELD`.
    """
    films = zip(logits, areas, strict=True)
    cleaned = [np.stack(unet.masks(one, area, threshold)) for one, area in films]
    return torch.from_numpy(np.stack(cleaned)).float()


def masked(x: Tensor, lungs: Tensor, margin: int | None, areas: Sequence[BoolMap]) -> Tensor:
    """Return what stage 2 sees: the film inside the lung field, grown, and standardised.

    Parameters
    ----------
    x
        Films, (B, 1, S, S) in [0, 1].
    lungs
        Masks of `lung_masks`, (B, 2, S, S).
    margin
        Around the lung field, network pixels; None shows all of the film.
    areas
        Where the frame holds film, one (S, S) for each film.

    Returns
    -------
    Tensor
        (B, 1, S, S), see `preprocess.mask_film`.
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
    """Run stage 2.

    Parameters
    ----------
    network
        The pneumonia classifier.
    x_masked
        Films of `masked`: (B, 1, S, S).
    field
        Zeros and ones, (B, 1, S, S); heat outside of it is not drawn.
    variant
        How H2 is made from the last maps: "cam", or "paper-eq1" for eq. 1 to the letter.

    Returns
    -------
    logits : Tensor
        Of pneumonia, uncalibrated: (B,).
    h2 : Tensor
        (B, 1, S, S) in [0, 1], without gradient.
    """
    features = network.features(x_masked)
    return network.classify(features), heat(network, features, field, variant)


def heat(
    network: ChestClassifier, features: Tensor, where: Tensor, variant: H2Variant = "cam"
) -> Tensor:
    """H2 of stage 2's last maps.

    Parameters
    ----------
    network
        The pneumonia classifier; only its last layer is used.
    features
        Its last maps: (B, 1024, h, w).
    where
        True or 1 where heat may stand: (B, 1, S, S).
    variant
        "cam", or "paper-eq1" for eq. 1 to the letter.

    Returns
    -------
    Tensor
        (B, 1, S, S) in [0, 1], without gradient.
    """
    maps, size = features.detach(), where.shape[-1]
    if variant == "paper-eq1":
        return cam.paper_eq1(maps.mean(dim=(2, 3)), size, seen=where)
    return cam.class_activation_map(maps, network.class_weight.detach(), size, seen=where)


def stage3(
    network: ChestClassifier, x_masked: Tensor, h2: Tensor, field: Tensor, floor: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Run stage 3 on x ⊙ H2 (paper eq. 3).

    Parameters
    ----------
    network
        The COVID-19 classifier.
    x_masked
        Films of `masked`: (B, 1, S, S).
    h2
        From `stage2`: (B, 1, S, S) in [0, 1].
    field
        Zeros and ones, (B, 1, S, S); heat outside of it is not drawn.
    floor
        The version's `Settings.h2_floor`, see `preprocess.gate`.

    Returns
    -------
    logits : Tensor
        Of COVID-19 against another pneumonia, uncalibrated: (B,).
    h3 : Tensor
        Grad-CAM, (B, 1, S, S) in [0, 1], without gradient.
    """
    gated = preprocess.gate(x_masked, h2, floor)
    features = network.features(gated)
    return network.classify(features), _grad_cam(network, features, field)


def guided_stage3(
    network: ChestClassifier, x_masked: Tensor, h2: Tensor, field: Tensor, floor: float = 0.0
) -> tuple[Tensor, Tensor, Callable[[], Tensor]]:
    """`stage3`, and what is left to do for Guided Grad-CAM.

    Returns
    -------
    logits, h3 : Tensor
        As `stage3`.
    gradient : callable
        Computes the guided gradient of each film's logit at stage 3's input, (B, 1, S, S).
    """
    features, gradient = network.guided(preprocess.gate(x_masked, h2, floor))
    return network.classify(features), _grad_cam(network, features, field), gradient


def _grad_cam(network: ChestClassifier, features: Tensor, seen: Tensor) -> Tensor:
    weight = network.class_weight.detach()
    return cam.grad_cam(features.detach(), weight, seen.shape[-1], seen=seen)
