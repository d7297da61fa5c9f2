"""Batch norms folded into the convolutions before them: the same answers with fewer passes.

For reading only. A folded network has another state dict, and cannot be trained or exported.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(network: nn.Module) -> None:
    """Fold, in place, every batch norm that directly follows a convolution in an `nn.Sequential`.

    Other norms stay, such as the first one of a dense layer. The network must be in eval mode.
    """
    for parent in list(network.modules()):
        if isinstance(parent, nn.Sequential):
            _fold_children(parent)


def _fold_children(parent: nn.Sequential) -> None:
    steps = list(steps_of(parent))
    for (holder, name), (other, norm) in pairwise(steps):
        convolution, after = getattr(holder, name), getattr(other, norm)
        if isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d) and isinstance(
            after, nn.BatchNorm2d
        ):
            transposed = isinstance(convolution, nn.ConvTranspose2d)
            setattr(holder, name, fuse_conv_bn_eval(convolution, after, transpose=transposed))
            setattr(other, norm, nn.Identity())


def steps_of(parent: nn.Sequential) -> Iterator[tuple[nn.Module, str]]:
    """Where each step of a sequence is, those of sequences inside it too."""
    for name, child in parent.named_children():
        if isinstance(child, nn.Sequential):
            yield from steps_of(child)
        else:
            yield parent, name
