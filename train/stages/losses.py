"""Losses: Dice and cross-entropy for lungs, paper eq. 2 for the classifiers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models import unet


def smooth(targets: Tensor, smoothing: float) -> Tensor:
    """Pull targets in {0, 1} towards one half: smoothing 0.1 gives 0.05 and 0.95."""
    return targets * (1.0 - smoothing) + 0.5 * smoothing


#: Weight of what an aerated outline says of the field.
_FIELD_WEIGHT = 0.3


def lung_loss(logits: Tensor, masks: Tensor, channels: Tensor) -> Tensor:
    """Cross-entropy + soft Dice, each film on the channel of its own convention.

    A film outlined without the heart says little of the field behind it, only that the field holds
    the outline and does not reach beyond its rows' ends: what lies between teaches the field
    nothing.

    Parameters
    ----------
    logits
        (B, 2, S, S), channels `unet.AERATED` and `unet.FIELD`.
    masks
        Zeros and ones, (B, S, S).
    channels
        The channel whose convention each mask follows: (B,) int64.

    Returns
    -------
    Tensor
        Scalar >= 0.
    """
    logits = logits.float()
    loss = _overlap_loss(logits[torch.arange(len(logits)), channels], masks)
    aerated = channels == unet.AERATED
    if not bool(aerated.any()):
        return loss
    outlines = masks[aerated]
    sure = ((outlines > 0.5) | (_between(outlines) < 0.5)).float()
    return loss + _FIELD_WEIGHT * _overlap_loss(logits[aerated, unet.FIELD], outlines, sure)


def _overlap_loss(logits: Tensor, masks: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy + soft Dice, (B, S, S) each, where ``weight`` is 1."""
    where = torch.ones_like(masks) if weight is None else weight
    probable, wanted = logits.sigmoid() * where, masks * where
    overlap = 2.0 * (probable * wanted).sum(dim=(1, 2)) + 1.0
    total = probable.sum(dim=(1, 2)) + wanted.sum(dim=(1, 2)) + 1.0
    entropy = functional.binary_cross_entropy_with_logits(logits, masks, weight=where)
    return entropy + 1.0 - (overlap / total).mean()


def _between(masks: Tensor) -> Tensor:
    """From each row's first pixel to its last, grown a little: (B, S, S)."""
    begun = masks.cumsum(-1) > 0
    unended = masks.flip(-1).cumsum(-1).flip(-1) > 0
    return functional.max_pool2d((begun & unended).float()[:, None], 9, stride=1, padding=4)[:, 0]


def heat_losses(
    evidence: Tensor, field: Tensor, infection: Tensor, ill: Tensor
) -> tuple[Tensor, Tensor]:
    """Positive evidence belongs inside the lungs, and inside the infection where one is drawn.

    Each is minus the logarithm of the evidence's share that lies where it belongs: it asks where
    the evidence is, not how much of it there is, which the cross-entropy asks.

    Parameters
    ----------
    evidence
        What each place adds to the logit: (B, h, w).
    field, infection
        Zeros and ones, (B, 1, S, S); no infection is drawn if all is zero.
    ill
        1 for films that have evidence to place, else 0: (B,).

    Returns
    -------
    outside : Tensor
        Of the evidence outside the lungs: scalar, the mean over ill films.
    beside : Tensor
        Of the evidence in the lungs beside the infection: scalar, the mean over films with a drawn
        infection. Each is 0 if there is no such film.
    """
    places = (evidence.shape[-2], evidence.shape[-1])
    positive = evidence.clamp(min=0.0)
    lungs = functional.adaptive_avg_pool2d(field, places)[:, 0]
    drawn = functional.adaptive_avg_pool2d(infection, places)[:, 0]
    every = _total(positive)
    inside = _total(positive * lungs)
    has = (infection.sum(dim=(1, 2, 3)) > 0).float()
    outside = -(inside / every).log()
    beside = -(_total(positive * drawn) / inside).log()
    return (
        (outside * ill).sum() / ill.sum().clamp(min=1.0),
        (beside * has).sum() / has.sum().clamp(min=1.0),
    )


def _total(maps: Tensor) -> Tensor:
    return maps.sum(dim=(1, 2)) + 1e-4


def distillation(logits: Tensor, previous: Tensor) -> Tensor:
    """Knowledge distillation, l_KL of paper eq. 2: KL(previous || this) of two decisions.

    Parameters
    ----------
    logits, previous
        Logits of this network and of the previous one: (B,).

    Returns
    -------
    Tensor
        For each film, (B,) >= 0.
    """
    old = torch.sigmoid(previous)
    # log p and log (1 - p) of the previous decision, without overflow.
    entropy = old * functional.logsigmoid(previous) + (1 - old) * functional.logsigmoid(-previous)
    cross = old * functional.logsigmoid(logits) + (1 - old) * functional.logsigmoid(-logits)
    return entropy - cross


def incremental_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    weights: Tensor | None = None,
    previous: Tensor | None = None,
    original: Tensor | None = None,
    lam: float = 0.0,
) -> Tensor:
    """Paper eq. 2: (sum of cross-entropy over D + lam * sum of distillation over D_o) / |D|.

    Parameters
    ----------
    logits
        Of all films of a batch, D: (B,).
    targets
        1 for ill films, 0 for others, or between: (B,).
    weights
        Of each film in the cross-entropy, (B,); None for 1.
    previous
        The frozen previous network's logits (B,); None (or lam 0) is plain training.
    original
        1 for films of D_o, 0 for new ones: (B,).
    lam
        λ >= 0.

    Returns
    -------
    Tensor
        Scalar.
    """
    entropy = functional.binary_cross_entropy_with_logits(
        logits, targets, weight=weights, reduction="sum"
    )
    if previous is None or original is None or lam == 0.0:
        return entropy / len(logits)
    return (entropy + lam * (distillation(logits, previous) * original).sum()) / len(logits)
