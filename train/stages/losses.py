"""What the networks are taught by: Dice and cross-entropy for lungs, eq. 2 for the classifiers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def smooth(targets: Tensor, smoothing: float) -> Tensor:
    """Pull targets in {0, 1} towards one half: smoothing 0.1 gives 0.05 and 0.95."""
    return targets * (1.0 - smoothing) + 0.5 * smoothing


def lung_loss(logits: Tensor, masks: Tensor, channels: Tensor) -> Tensor:
    """Cross-entropy + soft Dice, each film on the channel of its own convention only.

    ``logits`` (B, 2, S, S), ``masks`` (B, S, S) of zeros and ones, ``channels`` (B,) long. A film
    outlined without the heart says nothing about the field behind it, and teaches it nothing.
    """
    own = logits.float()[torch.arange(len(logits)), channels]
    probable = own.sigmoid()
    overlap = 2.0 * (probable * masks).sum(dim=(1, 2)) + 1.0
    total = probable.sum(dim=(1, 2)) + masks.sum(dim=(1, 2)) + 1.0
    return functional.binary_cross_entropy_with_logits(own, masks) + 1.0 - (overlap / total).mean()


def distillation(logits: Tensor, previous: Tensor) -> Tensor:
    """KL from the previous network's decision to this one's, per film: (B,) >= 0."""
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
    weights
        Of each film in the cross-entropy; None for 1.
    previous
        The frozen previous network's logits (B,); None (or lam 0) is plain training.
    original
        1 for films of D_o, 0 for new ones: (B,).
    """
    entropy = functional.binary_cross_entropy_with_logits(
        logits, targets, weight=weights, reduction="sum"
    )
    if previous is None or original is None or lam == 0.0:
        return entropy / len(logits)
    return (entropy + lam * (distillation(logits, previous) * original).sum()) / len(logits)
