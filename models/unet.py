"""Stage 1: the lung U-Net (Ronneberger et al. 2015, as MONAI's residual UNet) and its clean-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from monai.networks.nets.unet import UNet
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from models.reading import BASE_PERCENTILE, Asymmetry

#: Output channels: lungs as radiologists outline them (heart left out), and the whole lung field
#: with the part hidden behind the heart. Public masks follow one or the other convention.
AERATED, FIELD = 0, 1


class LungUNet(nn.Module):
    """(B, 1, S, S) in [0, 1] -> logits (B, 2, S, S), channels `AERATED` and `FIELD`; S % 16 == 0.

    The small network on purpose: the classic 31 M-parameter U-Net costs four times the rest of
    the cascade for the same mask.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = UNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=2,
            channels=(16, 32, 64, 128, 256),
            strides=(2, 2, 2, 2),
            num_res_units=2,
            norm="batch",
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits, not probabilities."""
        return cast(Tensor, self.net(x))


def clean(mask: NDArray[np.bool_], smallest: float = 0.005) -> NDArray[np.bool_]:
    """Fill the holes of a mask and keep its one or two largest pieces.

    Parameters
    ----------
    mask
        (S, S).
    smallest
        Least size of a piece, share of the frame in [0, 1]. If no piece is that large, the largest
        is kept, so that a dense lung is not lost.

    Returns
    -------
    array
        (S, S); an empty mask stays empty.
    """
    spaces, _ = ndimage.label(~mask)
    outside = [*spaces[[0, -1]].flat, *spaces[:, [0, -1]].flat]
    labels, count = ndimage.label(~_are(spaces, [one for one in outside if one]))
    if count == 0:
        return np.zeros_like(mask)
    areas = np.bincount(labels.ravel())[1:]
    order = np.argsort(areas)[::-1][:2]
    kept = [i + 1 for i in order if areas[i] >= smallest * mask.size] or [int(order[0]) + 1]
    return _are(labels, kept)


def _are(labels: NDArray[np.int32], these: Sequence[int]) -> NDArray[np.bool_]:
    chosen = np.zeros(labels.max(initial=0) + 1, np.bool_)
    chosen[these] = True
    return chosen[labels]


def asymmetry(mask: NDArray[np.bool_], height: int) -> Asymmetry | None:
    """Compare the outlines of the two lungs; None if the mask does not have exactly two pieces.

    Parameters
    ----------
    mask
        From `clean`: (S, S).
    height
        Of the film in the network frame, pixels.
    """
    labels, count = ndimage.label(mask)
    if count != 2:
        return None
    areas = np.bincount(labels.ravel())[1:]
    bases = [float(np.percentile(np.nonzero(labels == one)[0], BASE_PERCENTILE)) for one in (1, 2)]
    return Asymmetry(
        area_ratio=float(areas.min() / areas.max()),
        base_difference=abs(bases[0] - bases[1]) / height,
    )


def masks(logits: Tensor, area: NDArray[np.bool_], threshold: float) -> list[NDArray[np.bool_]]:
    """Turn the lung logits of one film into cleaned masks.

    Parameters
    ----------
    logits
        (2, S, S).
    area
        Where the frame holds film: (S, S).
    threshold
        Probability from which on a pixel is lung, in (0, 1).

    Returns
    -------
    list of array
        Two masks (S, S), `AERATED` and `FIELD`, inside ``area``.
    """
    probable = torch.sigmoid(logits.float()).cpu().numpy() >= threshold
    return [clean(channel & area) for channel in probable]
