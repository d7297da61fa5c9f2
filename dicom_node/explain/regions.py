"""Outlines of heat and lungs, in film pixels.

A polygon is an (N, 2) float64 array of (column, row) points. It is closed: the last point repeats
the first. Pixel centres are whole numbers, as in `models.reading.Frame`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage import measure

from dicom_node.explain.palette import ISO
from dicom_node.explain.places import Place, place_of
from models.reading import BoolMap, FloatMap, Frame

Polygon: TypeAlias = NDArray[np.float64]

_MIN_AREA = 0.001  # of the film; a smaller spot is noise, not a region
_TOLERANCE = 1.5  # network pixels by which an outline is simplified; some dozen vertices remain
_SMOOTHING = 1.5  # network pixels; smooths the steps of a mask's outline


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One connected region of heat inside the lungs, and where it lies.

    ``outline`` is smooth, for pictures; ``points`` the same with few vertices, for viewers.
    ``share`` is its part of all heat of the map, in (0, 1].
    """

    outline: Polygon
    points: Polygon
    share: float
    place: Place


def regions(heat: FloatMap, lungs: BoolMap, frame: Frame, limit: int) -> tuple[Region, ...]:
    """Return the regions with the most heat, the one with most first.

    Parameters
    ----------
    heat
        A map of the network frame; a region is what of it reaches the iso level inside the lungs.
    lungs
        The aerated lungs; nothing outside them is in a region.
    limit
        Of their number.
    """
    whole = frame.crop(heat).astype(np.float64)
    inside = frame.crop(lungs).astype(np.bool_)
    crop = np.where(inside, whole, 0.0)
    labels, count = ndimage.label(crop >= ISO)
    if not (limit and count):
        return ()
    numbers = np.arange(1, count + 1)
    heats = ndimage.sum_labels(crop, labels, numbers)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    big = [n for n in numbers if areas[n - 1] >= _MIN_AREA * crop.size]
    best = sorted(big, key=lambda n: -heats[n - 1])[:limit]
    total = whole.sum()
    return tuple(
        _region(np.where(labels == n, crop, 0.0), inside, total=total, frame=frame) for n in best
    )


def _region(heat: NDArray[np.float64], lungs: BoolMap, *, total: float, frame: Frame) -> Region:
    line = _longest(_smooth(heat > 0), 0.5)
    return Region(
        outline=_to_film(line, frame),
        points=_to_film(measure.approximate_polygon(line, _TOLERANCE), frame),
        share=float(heat.sum() / total),
        place=place_of(heat, lungs),
    )


def outline(mask: BoolMap, frame: Frame) -> list[Polygon]:
    """Return the smoothed border of a mask, one polygon for each piece."""
    return [_to_film(line, frame) for line in _lines(_smooth(frame.crop(mask)), 0.5)]


def hull(mask: BoolMap, frame: Frame) -> Polygon:
    """Return the convex hull of a mask, or the whole film if the mask is (nearly) empty."""
    lines = outline(mask, frame)
    if not lines:
        right, bottom = frame.columns - 1.0, frame.rows - 1.0
        return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom], [0, 0]], np.float64)
    points = np.concatenate(lines)
    corners = points[ConvexHull(points).vertices]
    closed = np.concatenate([corners, corners[:1]])
    simple: Polygon = measure.approximate_polygon(closed, _TOLERANCE / frame.scale)
    return simple


def _smooth(mask: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return a mask with its steps smoothed; its border is at 0.5."""
    soft: NDArray[np.float64] = ndimage.gaussian_filter(mask.astype(np.float64), _SMOOTHING)
    return soft


def _lines(values: NDArray[np.float64], level: float) -> list[Polygon]:
    """Return iso lines as (row, column); padding with zeros closes each of them."""
    return [line - 1 for line in measure.find_contours(np.pad(values, 1), level)]


def _longest(values: NDArray[np.float64], level: float) -> Polygon:
    return max(_lines(values, level), key=len)


def _to_film(line: Polygon, frame: Frame) -> Polygon:
    points = line[:, ::-1] + np.array([frame.left, frame.top], np.float64)
    return np.clip(frame.to_film(points), -0.5, [frame.columns - 0.5, frame.rows - 0.5])
