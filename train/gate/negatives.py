"""Images that are not chest films: shipped with Python packages, or drawn here.

Every picture is (H, W) float32 in [0, 1]. Packages that are not installed are skipped.
"""

from __future__ import annotations

import gzip
import importlib.util
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from dicom_node import pixels
from dicom_node.errors import Refused
from train.data.image_io import load_pixels

Picture: TypeAlias = NDArray[np.float32]

# Package -> where its pictures lie. Of DICOM's compression samples RG1 is a chest, RG2 is kept for
# tests.
_FOLDERS = {
    "skimage": "data/*.[pj]*g",
    "matplotlib": "mpl-data/sample_data/*.[pj]*g",
    "pydicom": "data/test_files/*.dcm",
    "data_store": "data/*UNCR.dcm",
}
_CHESTS = ("RG1", "RG2")
_MRI = "mpl-data/sample_data/s1045.ima.gz"  # 256 x 256, 16 bit, big endian
_SIDE = 192  # drawn pictures


def package_pictures() -> list[Picture]:
    """Load photographs, scans, CT and MR slices, an extremity, test patterns; each once."""
    paths = [p for name, pattern in _FOLDERS.items() for p in sorted(_folder(name).glob(pattern))]
    found = [_load(path) for path in paths if not path.name.startswith(_CHESTS)]
    mri = _folder("matplotlib") / _MRI
    if mri.exists():
        raw = np.frombuffer(gzip.decompress(mri.read_bytes()), ">u2").reshape(256, 256)
        found.append(_even(raw.astype(np.float32)))
    once = {(p.shape, round(float(p.mean()), 2)): p for p in found if p is not None}
    return list(once.values())


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")


def _load(path: Path) -> Picture | None:
    """Load an image; None if the file has no pixels or fewer than 64 on a side."""
    try:
        picture = load_pixels(path) if path.suffix != ".dcm" else _dicom(path)
    except Refused:
        return None
    return picture if picture is not None and min(picture.shape) >= 64 else None


def _dicom(path: Path) -> Picture | None:
    ds = pixels.read_dataset(path)
    return pixels.to_image(ds).pixels if "PixelData" in ds else None


def drawn(rng: Generator, films: Sequence[Picture]) -> Picture:
    """Draw one picture that is no chest film.

    Parameters
    ----------
    rng
        Of all draws.
    films
        One at least, (H, W) float32 in [0, 1]; used in mosaics, screenshots and shuffled tiles.
    """
    kinds: list[Callable[[Generator], Picture]] = [
        _blank, _noise, _clouds, _gradient, _limb, _slice, _shapes,
    ]  # fmt: skip
    choice = int(rng.integers(len(kinds) + 3))
    if choice < len(kinds):
        return kinds[choice](rng)
    makers = (_mosaic, _screenshot, _scrambled)
    return makers[choice - len(kinds)](rng, films)


def _grid() -> tuple[Picture, Picture]:
    """Coordinates x and y from -1 to 1."""
    y, x = np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j].astype(np.float32)
    return x, y


def _even(picture: NDArray[Any]) -> Picture:
    low, high = float(picture.min()), float(picture.max())
    return np.asarray((picture - low) / (high - low or 1.0), np.float32)


def _blank(rng: Generator) -> Picture:
    grain = rng.choice([0.0, 0.002, 0.02]) * rng.standard_normal((_SIDE, _SIDE))
    return np.asarray(np.clip(rng.random() + grain, 0, 1), np.float32)


def _noise(rng: Generator) -> Picture:
    return rng.random((_SIDE, _SIDE), dtype=np.float32)


def _clouds(rng: Generator) -> Picture:
    """Noise, smooth at one random scale or at all scales."""
    sizes = rng.choice([2.0, 5.0, 12.0, 30.0], size=int(rng.integers(1, 4)), replace=False)
    layers = [_even(ndimage.gaussian_filter(rng.standard_normal((_SIDE, _SIDE)), s)) for s in sizes]
    return _even(np.sum(layers, axis=0))


def _gradient(rng: Generator) -> Picture:
    x, y = _grid()
    angle = rng.uniform(0, 2 * np.pi)
    ramp = x * np.cos(angle) + y * np.sin(angle) + rng.uniform(0, 1) * np.hypot(x, y)
    return _even(ramp + 0.02 * rng.standard_normal(ramp.shape))


def _limb(rng: Generator) -> Picture:
    """Draw one to five soft tubes with bones in them, as a limb or a hand shows."""
    x, y = _grid()
    angle, picture = rng.uniform(0, np.pi), np.zeros_like(x)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    count = int(rng.choice([1, 1, 2, 4, 5]))
    for i in range(count):
        middle = (i - (count - 1) / 2) * 1.1 / count + 0.1 * along * rng.uniform(-1, 1)
        middle = middle + 0.15 * rng.uniform(-1, 1) * along**2
        width = rng.uniform(0.5, 0.95) / (count + 0.4) * (1 + 0.2 * along * rng.uniform(-1, 1))
        away = np.abs(across - middle) / width
        picture += 0.45 * np.sqrt(np.clip(1 - away**2, 0, 1))
        for bone in range(int(rng.integers(1, 3))):
            shift = 0.45 * (bone - 0.25) * rng.uniform(0.5, 1)
            off = np.abs((across - middle) / width - shift) / rng.uniform(0.2, 0.35)
            knuckle = 1 + 0.5 * np.cos(rng.uniform(2, 7) * along + rng.uniform(0, 6)) ** 8
            picture += 0.5 * (off < knuckle) * (0.5 + 0.5 * off.clip(0, 1) ** 2)
    return _finish(picture, rng)


def _slice(rng: Generator) -> Picture:
    """Draw an axial slice: a body, two dark lungs or none, a spine, a table."""
    x, y = _grid()
    wide, high = rng.uniform(0.6, 0.95), rng.uniform(0.4, 0.8)
    body = (x / wide) ** 2 + (y / high) ** 2
    picture = rng.uniform(0.3, 0.6) * (body < 1) + rng.uniform(0, 0.5) * (np.abs(body - 0.95) < 0.1)
    if rng.random() < 0.5:
        for side in (-1, 1):
            lung = ((x - side * 0.45 * wide) / (0.4 * wide)) ** 2 + (y / (0.65 * high)) ** 2 < 1
            picture = np.where(lung, rng.uniform(0, 0.15), picture)
    else:
        texture = _even(ndimage.gaussian_filter(rng.standard_normal(x.shape), rng.uniform(3, 9)))
        picture = picture + 0.4 * texture * (body < 0.8)
    spine = (x / 0.14) ** 2 + ((y - 0.6 * high) / 0.16) ** 2 < 1
    picture = np.where(spine, 0.9, picture)
    picture = picture + 0.5 * (np.abs(y - high - 0.08 + 0.2 * x**2) < 0.015) * (rng.random() < 0.6)
    return _finish(picture, rng)


def _shapes(rng: Generator) -> Picture:
    """Draw boxes, ellipses and lines."""
    picture = Image.new("L", (_SIDE, _SIDE), int(rng.integers(256)))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(2, 15))):
        left, right = sorted(rng.integers(0, _SIDE, 2).tolist())
        top, bottom = sorted(rng.integers(0, _SIDE, 2).tolist())
        shape = (draw.rectangle, draw.ellipse, draw.line)[int(rng.integers(3))]
        shape((left, top, right, bottom), fill=int(rng.integers(256)))
    return _finish(np.asarray(picture, np.float32) / 255, rng)


def _finish(picture: NDArray[Any], rng: Generator) -> Picture:
    soft = ndimage.gaussian_filter(_even(picture), rng.uniform(0, 2))
    grain = 0.02 * rng.standard_normal(soft.shape)
    return np.asarray(np.clip(soft + grain, 0, 1), np.float32)


def _mosaic(rng: Generator, films: Sequence[Picture]) -> Picture:
    """Lay two to nine films side by side, as a contact sheet or a comparison."""
    rows, columns = ((1, 2), (2, 1), (2, 2), (2, 3), (3, 3))[int(rng.integers(5))]
    high, wide = _SIDE // rows, _SIDE // columns
    tiles = [[_thumb(films, high, wide, rng) for _ in range(columns)] for _ in range(rows)]
    return np.block(tiles).astype(np.float32)


def _screenshot(rng: Generator, films: Sequence[Picture]) -> Picture:
    """Draw a window with panels, lines of text, a plot, and perhaps a small film."""
    picture = Image.new("L", (2 * _SIDE, 2 * _SIDE), int(rng.choice([0, 20, 240, 255])))
    draw, ink = ImageDraw.Draw(picture), int(rng.choice([0, 128, 230]))
    side = picture.width
    for _ in range(int(rng.integers(1, 6))):
        corner = rng.integers(0, side - 60, 2)
        box = (*corner.tolist(), *(corner + rng.integers(40, side, 2)).tolist())
        draw.rectangle(box, fill=int(rng.integers(256)), outline=ink)
    if rng.random() < 0.4:
        small = int(rng.uniform(0.2, 0.45) * side)
        film = _thumb(films, small, small, rng)
        picture.paste(Image.fromarray((255 * film).astype(np.uint8)), tuple(
            rng.integers(0, side - small, 2).tolist()
        ))  # fmt: skip
    if rng.random() < 0.3:
        curve = np.cumsum(rng.standard_normal(60)) * 8 + side / 2
        draw.line(list(zip(np.linspace(20, side - 20, 60), curve, strict=True)), fill=ink, width=2)
    for _ in range(int(rng.integers(5, 40))):
        words = "".join(rng.choice(list(string.ascii_letters + "   0123456789"), 30))
        font = ImageFont.load_default(int(rng.integers(8, 26)))
        draw.text(tuple(rng.integers(0, side, 2).tolist()), words, fill=ink, font=font)
    return np.asarray(picture, np.float32) / np.float32(255)


def _scrambled(rng: Generator, films: Sequence[Picture]) -> Picture:
    """Cut a film into tiles and shuffle them: its texture without its anatomy."""
    count = int(rng.integers(3, 7))
    size = _SIDE // count
    film = _thumb(films, size * count, size * count, rng)
    tiles = [
        film[i * size : (i + 1) * size, j * size : (j + 1) * size]
        for i in range(count)
        for j in range(count)
    ]
    order = iter(rng.permutation(count * count))
    return np.block([[tiles[next(order)] for _ in range(count)] for _ in range(count)])


def _thumb(films: Sequence[Picture], high: int, wide: int, rng: Generator) -> Picture:
    film = films[int(rng.integers(len(films)))]
    picture = Image.fromarray((255 * film).astype(np.uint8)).resize((wide, high))
    return np.asarray(picture, np.float32) / np.float32(255)
