"""Where a network looked: CAM (Zhou et al. 2016), Grad-CAM and Guided Grad-CAM (Selvaraju 2017).

Functions of tensors, without hooks. Every map is (B, 1, S, S) float32 in [0, 1], 0 where it says
nothing. ``seen`` (B, 1, S, S) is True or 1 where heat may stand: inside the film, or inside the
lungs. Heat elsewhere is removed, and only `paper_eq1` lets it set the scale.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

#: Guided Grad-CAM is scaled by this quantile of its positive pixels: single pixels would rule it.
ROBUST_MAXIMUM = 0.999


def class_activation_map(
    features: Tensor, weight: Tensor, size: int, *, seen: Tensor | None = None
) -> Tensor:
    """CAM: what each place added to the logit, the positive part, 1 at the film's maximum.

    Parameters
    ----------
    features
        Last maps, after their ReLU: (B, C, h, w).
    weight
        What each map adds to the logit after global average pooling: (C,).
    size
        Side S of the map, pixels; bilinear.
    seen
        (B, 1, S, S), where heat may stand; None: everywhere.

    Returns
    -------
    Tensor
        (B, 1, S, S) in [0, 1]; all 0 for a film without positive evidence in ``seen``.

    Notes
    -----
    CAM(y, x) = max(0, sum over c of weight[c] features[c, y, x]).
    """
    evidence = torch.einsum("bchw,c->bhw", features, weight)[:, None]  # (B, 1, h, w)
    heat = _restrict(_enlarge(evidence.clamp(min=0.0), size), seen)
    return _divide(heat, heat.amax(dim=(2, 3), keepdim=True))


def grad_cam(features: Tensor, weight: Tensor, size: int, *, seen: Tensor | None = None) -> Tensor:
    """Grad-CAM on the last post-ReLU maps, without a backward pass.

    Parameters and result are those of `class_activation_map`.

    Notes
    -----
    The logit is ``weight · mean(features) + bias``, so its gradient is weight / (h w) at every
    place, known before any backward pass. Grad-CAM weighs the maps by the mean of that gradient: it
    is the CAM over h w, and the factor cancels when the map is divided by its maximum.
    """
    return class_activation_map(features, weight, size, seen=seen)


def paper_eq1(pooled: Tensor, size: int, *, seen: Tensor | None = None) -> Tensor:
    """The paper's eq. 1 to the letter: pooled features as a square picture, scaled up.

    Parameters
    ----------
    pooled
        Features after global average pooling, (B, C); C is a square number, 1024 in the paper.
    size
        Side S of the map, pixels; bilinear.
    seen
        (B, 1, S, S), where heat is kept; None: everywhere. The scale is set before.

    Returns
    -------
    Tensor
        (B, 1, S, S) in [0, 1], from the film's minimum to its maximum; all 0 if these are equal.

    Notes
    -----
    Eq. 1: f in R^1024 -> h in R^(32 x 32) -> H in R^(S x S). The 1024 numbers are channels, not
    places: this map has no anatomy, which is why it is not the default.
    """
    side = math.isqrt(pooled.shape[1])
    heat = _enlarge(pooled.reshape(-1, 1, side, side), size)
    heat = heat - heat.amin(dim=(2, 3), keepdim=True)
    return _restrict(_divide(heat, heat.amax(dim=(2, 3), keepdim=True)), seen)


def guided_grad_cam(gradient: Tensor, h3: Tensor) -> Tensor:
    """Guided Grad-CAM: the positive part of the guided gradient, where H3 is warm.

    Parameters
    ----------
    gradient
        Of stage 3's logit at its input, by guided backpropagation: (B, 1, S, S).
    h3
        Stage 3's Grad-CAM, (B, 1, S, S) in [0, 1].

    Returns
    -------
    Tensor
        Their product, (B, 1, S, S) in [0, 1]; 1 from the `ROBUST_MAXIMUM` quantile of each film's
        positive pixels on.
    """
    fine = gradient.clamp(min=0.0) * h3
    peaks = torch.stack([_robust_maximum(film) for film in fine])
    return _divide(fine, peaks[:, None, None, None]).clamp(max=1.0)


def _robust_maximum(film: Tensor) -> Tensor:
    positive = film[film > 0]
    return positive.quantile(ROBUST_MAXIMUM) if positive.numel() else film.new_zeros(())


def _enlarge(maps: Tensor, size: int) -> Tensor:
    return functional.interpolate(maps, (size, size), mode="bilinear", align_corners=False)


def _restrict(heat: Tensor, seen: Tensor | None) -> Tensor:
    return heat if seen is None else heat * seen


def _divide(heat: Tensor, peak: Tensor) -> Tensor:
    """Heat over its peak, zeros where the peak is not positive."""
    return torch.where(peak > 0, heat / peak, torch.zeros_like(heat))
