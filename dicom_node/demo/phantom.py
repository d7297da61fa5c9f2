"""The picture of a synthetic chest film, drawn by numpy.

No one's anatomy: a sum of smooth shapes whose size and place vary by seed. In the functions below
x is (1, columns) from -1, image left and the patient's right, to 1; y is (rows, 1) from 0, top, to
1; every shape is about 1 inside and 0 outside.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

FloatMap: TypeAlias = NDArray[np.float32]
Field: TypeAlias = NDArray[Any]  # a smooth shape on the grid, or a coordinate of it

# 5 x 7 letters of the lead marker.
_LETTERS = {
    "L": ("10000", "10000", "10000", "10000", "10000", "10000", "11111"),
    "R": ("11110", "10001", "10001", "11110", "10100", "10010", "10001"),
}


def phantom(
    rows: int = 512,
    columns: int = 448,
    seed: int = 0,
    opacity: float = 0.0,
    marker: str | None = "R",
) -> FloatMap:
    """Draw a frontal chest film, (rows, columns) float32 in [0, 1], 1 = dense (bone).

    Parameters
    ----------
    opacity
        Strength in [0, 1] of a bright patch in one lung; 0 is a clear chest.
    marker
        "R" or "L" in lead at the top corner of that side of the patient; None for no letter.
    """
    return _phantom(rows, columns, seed, float(opacity), marker).copy()


@lru_cache(maxsize=32)
def _phantom(rows: int, columns: int, seed: int, opacity: float, marker: str | None) -> FloatMap:
    # The shapes are smooth, so a big film is drawn small and enlarged; the grain is its own.
    shrink = max(1.0, max(rows, columns) / 768)
    small_rows, small_columns = (max(8, round(side / shrink)) for side in (rows, columns))
    small = _anatomy(small_rows, small_columns, seed, opacity)
    picture = _resize(small, rows, columns)
    rng = np.random.default_rng([seed, 1])
    grain = rng.standard_normal(picture.shape).astype(np.float32)
    picture += grain * (0.010 + 0.006 * picture)  # fewer quanta behind dense tissue
    if marker is not None:
        _stamp(picture, marker)
    return np.clip(picture, 0, 1, out=picture)


def _resize(picture: FloatMap, rows: int, columns: int) -> FloatMap:
    if picture.shape == (rows, columns):
        return picture
    ratio = rows / picture.shape[0], columns / picture.shape[1]
    larger: FloatMap = zoom(picture, ratio, order=1, grid_mode=True, mode="nearest")
    return np.ascontiguousarray(larger[:rows, :columns], dtype=np.float32)


def _anatomy(rows: int, columns: int, seed: int, opacity: float) -> FloatMap:
    rng = np.random.default_rng([seed, 0])
    vary = rng.uniform(0.95, 1.05, size=8)
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :] - float(rng.uniform(-0.03, 0.03))
    body = _body(x, y)
    lungs = _lungs(x, y, vary)
    mediastinum = _mediastinum(x, y, vary)
    density = 0.60 * body
    density -= 0.47 * lungs * (1 - 0.85 * mediastinum)
    density += 0.16 * mediastinum * body + _spine(x, y) * body
    density += _ribs(x, y, vary) * (0.35 + 0.65 * lungs) * body
    density += _clavicles(x, y) * body + _abdomen(x, y) * body
    air = lungs * np.clip(1 - mediastinum, 0, 1)
    density += air * (_vessels(x, y, rng) + 0.05 * _clouds(rows, columns, rng))
    patch = _patch(x, y, rng, rows, columns)  # drawn always: the clear chest has the same anatomy
    density += opacity * 0.34 * lungs * np.clip(1.15 - mediastinum, 0, 1) * patch
    film = gaussian_filter(0.03 + density, sigma=rows / 700)
    return np.asarray(film, dtype=np.float32)


def _step(distance: Field, softness: float) -> Field:
    """1 where the distance is positive, 0 where negative, an edge of this softness between."""
    scaled = np.clip(distance / softness, -12, 12)
    return np.asarray(1 / (1 + np.exp(-scaled)), dtype=np.float32)


def _bump(distance: Field, width: float) -> Field:
    return np.asarray(np.exp(-((distance / width) ** 2)), dtype=np.float32)


def _body(x: Field, y: Field) -> Field:
    neck = 0.26 + 0.72 * _step(y - 0.115, 0.028)  # half width at this height
    flank = 0.10 * _step(y - 0.30, 0.05)
    thickness = 0.80 + 0.20 * np.sqrt(np.clip(1 - (x / 1.05) ** 2, 0, 1))
    return np.asarray(_step(neck - flank - np.abs(x), 0.012) * thickness, dtype=np.float32)


def _lungs(x: Field, y: Field, vary: NDArray[np.float64]) -> Field:
    """Both lung fields: image left is the patient's right, whose diaphragm stands higher."""
    field = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
    for side, bottom in ((-1, 0.78 * vary[0]), (1, 0.81 * vary[1])):
        across = (side * x - 0.43) / (0.35 * vary[2])  # -1 at the mediastinum, 1 at the ribs
        apex = 0.13 + 0.30 * np.clip(np.abs(across), 0, 2) ** 2.6
        dome = bottom + 0.055 * (across + 0.15) ** 2 + 0.05 * np.clip(across, 0, 2) ** 3
        wide = 1 - np.abs(across) + 0.18 * np.clip((y - 0.35) / 0.5, 0, 1)
        field += _step(y - apex, 0.010) * _step(dome - y, 0.006) * _step(wide, 0.035)
    return np.clip(field, 0, 1)


def _mediastinum(x: Field, y: Field, vary: NDArray[np.float64]) -> Field:
    column = _step(0.135 + 0.03 * np.abs(y - 0.35) - np.abs(x), 0.02)
    knob = _step(1 - ((x - 0.15) / 0.085) ** 2 - ((y - 0.335) / 0.055) ** 2, 0.18)
    lean = (x - 0.15) + 0.9 * (y - 0.64)  # the heart's axis points down to the left
    heart = 1 - (lean / (0.32 * vary[3])) ** 2 - ((y - 0.645) / (0.165 * vary[4])) ** 2
    right = 1 - ((x + 0.08) / 0.16) ** 2 - ((y - 0.66) / 0.12) ** 2
    dense = np.maximum.reduce([column, 0.9 * knob, _step(heart, 0.09), 0.9 * _step(right, 0.10)])
    trachea = _bump(x + 0.01, 0.05) * _step(0.36 - y, 0.02)
    return np.asarray(dense - 0.45 * trachea, dtype=np.float32)


def _spine(x: Field, y: Field) -> Field:
    inside = _step(0.085 - np.abs(x), 0.012)
    discs = _bump((y * 17) % 1 - 0.5, 0.16)
    processes = _bump(x, 0.018) * _bump((y * 17 + 0.4) % 1 - 0.5, 0.22)
    return inside * (0.085 - 0.045 * discs) + 0.05 * processes


def _ribs(x: Field, y: Field, vary: NDArray[np.float64]) -> Field:
    out = np.abs(x) / 0.85  # 0 at the spine, 1 at the chest wall
    cage = _step(0.83 - np.abs(x), 0.015) * _step(np.abs(x) - 0.09, 0.02)
    shadow = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
    for rib in range(10):
        start = 0.125 + 0.070 * float(vary[5]) * rib
        shadow += _bone(y - start + 0.05 * out - 0.21 * out**2.4, 0.0135)
    for rib in range(6):  # the front ends fall towards the middle, and fade there
        start = 0.37 + 0.083 * float(vary[6]) * rib
        fade = _step(np.abs(x) - 0.30, 0.05)
        shadow += 0.6 * fade * _bone(y - start + 0.20 * out**1.3, 0.014)
    return np.asarray(shadow * cage)


def _bone(distance: Field, width: float) -> Field:
    """A tube seen from the side: a faint core and two brighter edges."""
    core = _step(width - np.abs(distance), 0.0025)
    edges = _bump(np.abs(distance) - width, 0.004)
    return np.asarray(0.065 * core + 0.035 * edges)


def _clavicles(x: Field, y: Field) -> Field:
    out = np.abs(x)
    axis = 0.205 - 0.085 * out - 0.03 * np.sin(out * 5)
    along = _step(out - 0.10, 0.02) * _step(0.80 - out, 0.03)
    return 1.8 * along * _bone(y - axis, 0.016)


def _abdomen(x: Field, y: Field) -> Field:
    below = _step(y - 0.86, 0.05)
    bubble = _step(1 - ((x - 0.36) / 0.13) ** 2 - ((y - 0.895) / 0.035) ** 2, 0.2)
    return 0.13 * below - 0.20 * bubble


def _vessels(x: Field, y: Field, rng: np.random.Generator) -> Field:
    """Hilar shadows and branches that thin out on the way to the ribs."""
    shadow = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
    for side, hilum in ((-1, 0.46), (1, 0.44)):
        reach = np.hypot(side * x - 0.17, 1.4 * (y - hilum)).astype(np.float32)
        angle = np.arctan2(1.4 * (y - hilum), side * x - 0.17)
        shadow += 0.15 * _bump(reach - 0.02, 0.13)
        for branch in rng.uniform(-1.5, 1.5, size=22):
            bend = angle - branch - 1.6 * rng.uniform(-1, 1) * reach
            width = (0.011 * np.exp(-2 * reach) + 0.002) / np.clip(reach, 0.08, None)
            near = _step(reach - 0.08 - 0.25 * rng.uniform(0, 1), 0.03)
            shadow += 0.085 * near * _bump(bend / width, 1.0) * np.exp(-2.2 * reach)
    return shadow


def _clouds(rows: int, columns: int, rng: np.random.Generator) -> Field:
    noise = rng.standard_normal((rows, columns)).astype(np.float32)
    soft = gaussian_filter(noise, sigma=rows / 60)
    return np.asarray(soft / (np.abs(soft).max() + 1e-6), dtype=np.float32)


def _patch(x: Field, y: Field, rng: np.random.Generator, rows: int, columns: int) -> Field:
    side, height = int(rng.choice([-1, 1])), float(rng.uniform(0.45, 0.62))
    ellipse = ((side * x - (0.46 if side < 0 else 0.56)) / 0.20) ** 2 + ((y - height) / 0.10) ** 2
    return _bump(ellipse, 1.0) * (1 + 0.45 * _clouds(rows, columns, rng))


def _stamp(picture: FloatMap, letter: str) -> None:
    dot = max(1, picture.shape[0] // 170)
    pattern = np.array([[c == "1" for c in row] for row in _LETTERS[letter]])
    drawn = np.kron(pattern, np.ones((dot, dot), dtype=bool))
    top = picture.shape[0] // 40
    edge = picture.shape[1] // 20
    left = edge if letter == "R" else picture.shape[1] - edge - drawn.shape[1]
    corner = picture[top : top + drawn.shape[0], left : left + drawn.shape[1]]
    corner[drawn] = 0.97
