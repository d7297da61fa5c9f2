"""Draw heat and lines on a film.

Each function draws on ``rgb``, (height, width, 3) uint8: the film's part of a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicom_node.explain import palette
from dicom_node.explain.regions import Polygon
from models.reading import BoolMap, FloatMap

Grey: TypeAlias = NDArray[np.uint8]  # (height, width)
RGB: TypeAlias = NDArray[np.uint8]  # (height, width, 3)
Colour: TypeAlias = tuple[int, int, int]

_ROWS = 64  # of a film that are converted at once
_FINE = 2  # lines are drawn at this multiple of the size and averaged, for smooth edges


def levels(values: FloatMap) -> Grey:
    """Convert values in [0, 1] to eight-bit grey."""
    grey = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), _ROWS):  # so few that the processor's cache holds them
        grey[row : row + _ROWS] = values[row : row + _ROWS] * np.float32(255) + np.float32(0.5)
    return grey


def scaled(film: Grey, size: tuple[int, int]) -> Grey:
    """Scale the film to a (width, height)."""
    if film.shape == size[::-1]:
        return film
    larger = Image.Resampling.BICUBIC if size[0] > film.shape[1] else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(film).resize(size, larger, reducing_gap=1.0))


def coloured(film: Grey) -> RGB:
    """Return the film in three equal channels, (height, width, 3)."""
    return np.stack([film, film, film], axis=-1)


def lay_heat(
    rgb: RGB, heat: FloatMap, lungs: BoolMap, evidence: float = 1.0, *, hatched: bool = False
) -> None:
    """Blend heat over the film, inside the lungs: inferno colours, opaque in proportion.

    The film is unchanged where the heat is below the iso level.

    Parameters
    ----------
    heat
        In [0, 1], of any size; it is stretched over the film.
    lungs
        Where heat may be drawn, of any size; it is stretched, too.
    evidence
        In [0, 1], what an activation of 1 is worth: the score.
    hatched
        Hatch the heat, because its place is not confirmed.
    """
    small = Image.fromarray(levels(heat))
    inside = small.point(palette.at_least(palette.ISO)).getbbox()
    if inside is None:
        return
    left, top, right, bottom = _magnified(inside, small.size, rgb.shape)
    size = (right - left, bottom - top)
    hot = _part(small, (left, top), size, rgb.shape, Image.Resampling.BICUBIC)
    mask = Image.fromarray(lungs.astype(np.uint8) * 255)
    clip = _part(mask, (left, top), size, rgb.shape, Image.Resampling.BILINEAR)
    drawn = np.where(np.asarray(clip) >= 128, np.asarray(hot.point(palette.opacity(evidence))), 0)
    alpha = Image.fromarray(drawn.astype(np.uint8))
    hot.putpalette(palette.inferno(evidence))
    part = rgb[top:bottom, left:right]
    picture = Image.fromarray(np.ascontiguousarray(part))
    picture.paste(hot.convert("RGB"), (0, 0), alpha)
    part[...] = np.asarray(picture)
    if hatched:
        _hatch(part, drawn > 0, left + top, max(1, max(rgb.shape) // 700))


def lay_grey(rgb: RGB, values: FloatMap) -> None:
    """Replace the film with a map, grey on black."""
    height, width, _ = rgb.shape
    grey = Image.fromarray(levels(values)).resize((width, height), Image.Resampling.BICUBIC)
    rgb[...] = coloured(np.asarray(grey.point(palette.guided())))


def _part(
    small: Image.Image,
    corner: tuple[int, int],
    size: tuple[int, int],
    film: tuple[int, ...],
    how: Image.Resampling,
) -> Image.Image:
    """Stretch a map over the film, and return a part of it."""
    across, down = small.width / film[1], small.height / film[0]
    left, top = corner
    box = (left * across, top * down, (left + size[0]) * across, (top + size[1]) * down)
    return small.resize(size, how, box=box)


def _magnified(
    inside: tuple[int, int, int, int], small: tuple[int, int], film: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """Convert a box on the map to the film, two map pixels wider on every side.

    Cubic interpolation reaches beyond the pixels it interpolates.
    """
    across, down = film[1] / small[0], film[0] / small[1]
    left, top, right, bottom = inside
    return (
        max(0, int((left - 2) * across)),
        max(0, int((top - 2) * down)),
        min(film[1], int((right + 2) * across)),
        min(film[0], int((bottom + 2) * down)),
    )


def _hatch(rgb: RGB, heated: NDArray[np.bool_], shift: int, width: int) -> None:
    """Draw diagonals, black beside white: one of them is visible on any heat and any film."""
    rows, columns = heated.shape
    place = (np.arange(columns) + np.arange(rows)[:, np.newaxis] + shift) % (12 * width)
    rgb[heated & (place < width)] = palette.RIM
    rgb[heated & (place >= width) & (place < 2 * width)] = palette.WHITE


@dataclass(frozen=True, slots=True)
class Stroke:
    """Lines that can be drawn on any number of pictures of one size."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    line: NDArray[np.float32]  # coverage of each of those pixels, (N, 1) in [0, 1]
    rim: NDArray[np.float32]  # the same of the dark rim, which makes the line visible on bone

    def draw(self, rgb: RGB, colour: Colour) -> None:
        """Draw the lines on a picture."""
        there = rgb[self.rows, self.columns] * (1 - self.rim)
        there += (np.array(colour, np.float32) - there) * self.line
        rgb[self.rows, self.columns] = np.rint(there)


def stroke(lines: Sequence[Polygon], factor: float, size: tuple[int, int], width: float) -> Stroke:
    """Prepare polygons in the pixels of the source, ``factor`` of which make one of the picture.

    ``size`` is the picture's (width, height); ``width`` the line's, in its pixels. The rim adds a
    third of it on either side.
    """
    pen = max(2, round(width * _FINE))
    wide = pen + max(2, round(2 * pen / 3))
    points = np.concatenate([np.zeros((0, 2)), *lines]) if lines else np.zeros((1, 2))
    first = np.maximum((points.min(axis=0) / factor).astype(int) - wide, 0)
    beyond = (points.max(axis=0) / factor).astype(int) + wide + 2
    extent = np.minimum(beyond, size) - first  # (width, height) of all that is drawn
    drawn = [((line + 0.5) / factor - first) * _FINE - 0.5 for line in lines]
    covered = [_inked(drawn, extent.tolist(), each) for each in (pen, wide)]
    inked = np.flatnonzero(covered[1] > 0)
    rows, columns = np.divmod(inked, extent[0])
    line, rim = (
        each.ravel()[inked, np.newaxis] * np.float32(strength / 255)
        for each, strength in zip(covered, (1.0, palette.RIM_OPACITY), strict=True)
    )
    return Stroke(rows + first[1], columns + first[0], line, rim)


def _inked(lines: Sequence[Polygon], size: Sequence[int], width: int) -> Grey:
    mask = Image.new("L", (size[0] * _FINE, size[1] * _FINE))
    pen = ImageDraw.Draw(mask)
    for line in lines:
        pen.line(line.ravel().tolist(), fill=255, width=width)
    return np.asarray(mask.reduce(_FINE))
