"""The colours of the pictures, distinguishable with any colour vision."""

from __future__ import annotations

import numpy as np

# matplotlib's inferno (CC0) at 17 even steps; straight lines between them are within 3 grey levels.
_INFERNO = bytes.fromhex(
    "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754"
    "d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4"
)

#: Nothing is drawn below this activation: outlines go round the strongest half of a map.
ISO = 0.5

# Opacity of full heat; it falls in proportion, so that the film always shows through.
_OPACITY = 0.7

LUNGS = (86, 180, 233)  # sky blue of Okabe and Ito's colour-blind-safe set
CONTOUR = (255, 190, 60)  # of regions, and of what lies above the cut-off
RIM = (0, 0, 0)  # round every line, so that it shows on bone too
RIM_OPACITY = 0.75
TEXT = (235, 235, 235)
FAINT = (165, 165, 165)
WARNING = (255, 190, 60)
BANNER = (62, 44, 0)  # behind the disclaimer
TRACK = (80, 80, 80)  # of a scale, below its cut-off
TRACK_ABOVE = (135, 95, 25)
BOX = (30, 22, 0)  # behind a warning
WHITE = (255, 255, 255)


def inferno(evidence: float = 1.0) -> list[int]:
    """Return 256 RGB triples, flat, as Pillow's palettes want them.

    ``evidence`` in [0, 1] scales the activations: 0.5 ends at the middle of the colours.
    """
    anchors = np.frombuffer(_INFERNO, np.uint8).reshape(-1, 3)
    place = np.linspace(0, (len(anchors) - 1) * evidence, 256)
    channels = [np.interp(place, np.arange(len(anchors)), channel) for channel in anchors.T]
    return [int(value) for value in np.stack(channels, axis=1).round().ravel()]


def opacity(evidence: float = 1.0) -> list[int]:
    """Return 256 alpha values: activation times evidence, nothing below `ISO`."""
    return [round(_OPACITY * evidence * level) if level >= ISO * 255 else 0 for level in range(256)]


def at_least(activation: float) -> list[int]:
    """Return 256 levels: all or nothing."""
    return [255 if level >= activation * 255 else 0 for level in range(256)]


def guided() -> list[int]:
    """Return 256 grey values: the square root lifts what is faint."""
    return [round((level / 255) ** 0.5 * 255) for level in range(256)]
