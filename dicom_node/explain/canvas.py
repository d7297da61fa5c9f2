"""Drawing: a film, heat upon it, lines, and the strip of words below it.

The strip is always below and the film always at the top left, so that a picture's pixels lead
back to the film's by one factor and no offset. Pillow does the work in eight bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dicom_node.explain import palette
from dicom_node.explain.regions import Polygon

RGB = tuple[int, int, int]

_MIN_WIDTH = 480  # pixels; a narrower film gets black beside it, for the words
GAP = 6  # pixels between panels


@dataclass(frozen=True, slots=True)
class Line:
    """One line of words; ``scale`` is relative to the body text."""

    text: str
    colour: RGB = palette.TEXT
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A colour bar from 0 to 1: 256 RGB triples, flat, and what it measures."""

    colours: Sequence[int]
    text: str


def levels(values: NDArray[np.float32]) -> Image.Image:
    """Values in [0, 1] as eight-bit grey."""
    return Image.fromarray((values * np.float32(255) + np.float32(0.5)).astype(np.uint8))


def shrunk(film: Image.Image, max_side: int) -> Image.Image:
    """The film, its longest side no longer than ``max_side``; a smaller one stays as it is."""
    scale = max_side / max(film.size)
    if scale >= 1:
        return film
    size = (max(1, round(film.width * scale)), max(1, round(film.height * scale)))
    return film.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def stretched(values: NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """A map in [0, 1] as eight-bit levels over (width, height)."""
    return levels(values).resize(size, Image.Resampling.BICUBIC)


def heated(film: Image.Image, values: NDArray[np.float32]) -> Image.Image:
    """The film with the heatmap in colour on it, opaque in proportion to the activation."""
    picture = film.convert("RGB")
    heat = stretched(values, film.size)
    alpha = heat.point(palette.opacity())
    if box := alpha.getbbox():
        colours = heat.crop(box)
        colours.putpalette(palette.inferno())
        picture.paste(colours.convert("RGB"), box, alpha.crop(box))
    return picture


def trace(picture: Image.Image, lines: Iterable[Polygon], factor: float, colour: RGB) -> None:
    """Draw film polygons; ``factor`` is film pixels per picture pixel."""
    pen = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 700))
    for line in lines:
        points = (line + 0.5) / factor - 0.5
        pen.line([(x, y) for x, y in points.tolist()], fill=colour, width=width, joint="curve")


def side_by_side(panels: Sequence[tuple[Image.Image, str]]) -> Image.Image:
    """Pictures of one size in a row, each with its label below."""
    width, height = panels[0][0].size
    total = len(panels) * (width + GAP) - GAP
    font = _font(_body((total, height)))
    row = Image.new("RGB", (total, height + round(font.size * 1.6)))
    pen = ImageDraw.Draw(row)
    for index, (panel, label) in enumerate(panels):
        left = index * (width + GAP)
        row.paste(panel, (left, 0))
        pen.text((left + width // 2, height + 2), label, palette.TEXT, font, anchor="ma")
    return row


def with_strip(picture: Image.Image, lines: Sequence[Line], bar: Bar | None) -> Image.Image:
    """The picture with words, and a colour bar, in a black strip below it."""
    width = max(picture.width, _MIN_WIDTH)
    body = _body((width, picture.height))
    margin = round(body * 0.7)
    words = [piece for line in lines for piece in _wrapped(line, body, width - 2 * margin)]
    heights = [round(body * line.scale * 1.35) for line in words]
    bar_height = round(body * 3.2) if bar else 0
    page = Image.new("RGB", (width, picture.height + sum(heights) + bar_height + 2 * margin))
    page.paste(picture, (0, 0))
    pen = ImageDraw.Draw(page)
    top = picture.height + margin
    for line, height in zip(words, heights, strict=True):
        pen.text((margin, top), line.text, line.colour, _font(body * line.scale))
        top += height
    if bar:
        _draw_bar(page, bar, (margin, top + round(body * 0.4)), body)
    return page


def array(picture: Image.Image) -> NDArray[np.uint8]:
    """(height, width, 3) uint8."""
    return np.asarray(picture.convert("RGB"), dtype=np.uint8)


def _body(size: tuple[int, int]) -> float:
    """Pixels of body text that is read on a (width, height) picture, fitted to a screen or not."""
    width, height = size
    return min(max(13.0, min(width / 62, height / 26)), 48.0)


@cache
def _font(size: float) -> ImageFont.FreeTypeFont:
    """Pillow's built-in face."""
    font = ImageFont.load_default(round(size))
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType: no scalable font")
    return font


def _wrapped(line: Line, body: float, width: int) -> list[Line]:
    """The line broken at spaces where it is wider than ``width``."""
    font = _font(body * line.scale)
    if font.getlength(line.text) <= width:
        return [line]
    pieces: list[str] = []
    for word in line.text.split():
        longer = f"{pieces[-1]} {word}" if pieces else word
        if pieces and font.getlength(longer) <= width:
            pieces[-1] = longer
        else:
            pieces.append(word)
    return [Line(piece, line.colour, line.scale) for piece in pieces]


def _draw_bar(page: Image.Image, bar: Bar, corner: tuple[int, int], body: float) -> None:
    """A gradient with its ticks below and its meaning to the right."""
    font = _font(body)
    left, top = corner
    right, bottom = left + page.width // 3, top + round(body * 1.1)
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    ramp = ramp.resize((right - left, bottom - top))
    ramp.putpalette(list(bar.colours))
    page.paste(ramp.convert("RGB"), (left, top))
    pen = ImageDraw.Draw(page)
    pen.rectangle((left, top, right, bottom), outline=palette.FAINT)
    under = bottom + round(body / 3)
    for tick, anchor in ((0.0, "la"), (0.5, "ma"), (1.0, "ra")):
        x = left + round(tick * (right - left))
        pen.line((x, bottom, x, under), palette.TEXT)
        pen.text((x, under), f"{tick:g}", palette.TEXT, font, anchor=anchor)
    pen.text((right + round(body), top), bar.text, palette.TEXT, font)
