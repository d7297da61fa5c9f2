"""Lay out a page: the film at the top left, text below it, or panels in a row.

The film is always at the top left, so that picture pixels map to film pixels by one factor and no
offset. The text size follows from the picture's size, so that it looks the same on every screen to
which the whole picture is fitted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dicom_node.explain import palette
from dicom_node.explain.paint import RGB, Colour

GAP = 6  # pixels between panels

_MIN_WIDTH = 480  # pixels; a narrower film gets black beside it, for the words
_FACE = "NotoSansCJKtc-subset.otf"
# Units that are not broken over lines: a word, or a Chinese character with its punctuation
_UNBREAKABLE = re.compile(r"[\u4e00-\u9fff][\u3000-\u303f\uff00-\uffef]*\s*|[^\s\u4e00-\u9fff]+\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of words; ``scale`` is relative to the body text."""

    text: str
    colour: Colour = palette.TEXT
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A colour bar from 0 to 1: 256 RGB triples, flat, ticks with their words, and a meaning."""

    colours: Sequence[int]
    ticks: Sequence[tuple[float, str]]
    text: str


def page(picture: RGB, lines: Sequence[Line], bar: Bar | None) -> RGB:
    """A page with the picture, and words and a colour bar in a black strip below it."""
    height, width, _ = picture.shape
    strip = _strip((max(width, _MIN_WIDTH), height), lines, bar)
    whole = np.zeros((height + len(strip), strip.shape[1], 3), np.uint8)
    whole[:height, :width] = picture
    whole[height:] = strip
    return whole


def side_by_side(panels: Sequence[tuple[RGB, str]]) -> RGB:
    """Pictures of one size in a row, each with its label below."""
    height, width, _ = panels[0][0].shape
    total = len(panels) * (width + GAP) - GAP
    face = font(_body((total, height)))
    labels = Image.new("RGB", (total, round(face.size * 1.6)))
    pen = ImageDraw.Draw(labels)
    row = np.zeros((height + labels.height, total, 3), np.uint8)
    for index, (panel, label) in enumerate(panels):
        left = index * (width + GAP)
        row[:height, left : left + width] = panel
        pen.text((left + width // 2, labels.height), label, palette.TEXT, face, anchor="md")
    row[height:] = np.asarray(labels)
    return row


def _strip(size: tuple[int, int], lines: Sequence[Line], bar: Bar | None) -> RGB:
    """What stands below a picture of this (width, height)."""
    width = size[0]
    body = _body(size)
    margin = round(body * 0.7)
    words = [piece for line in lines for piece in _wrapped(line, body, width - 2 * margin)]
    beside = _wrapped(Line(bar.text), body, width - width // 3 - 3 * margin) if bar else []
    heights = [round(body * line.scale * 1.35) for line in words]
    bar_height = round(body * max(3.2, 0.4 + 1.35 * len(beside))) if bar else 0
    strip = Image.new("RGB", (width, sum(heights) + bar_height + 2 * margin))
    pen = ImageDraw.Draw(strip)
    top = margin
    for line, height in zip(words, heights, strict=True):
        pen.text((margin, top + height), line.text, line.colour, font(body * line.scale), "ld")
        top += height
    if bar:
        text = "\n".join(line.text for line in beside)
        _draw_bar(strip, replace(bar, text=text), (margin, top), body)
    return np.asarray(strip)


def _body(size: tuple[int, int]) -> float:
    """Pixels of body text that is read on a (width, height) picture, fitted to a screen or not."""
    width, height = size
    return max(13.0, min(width / 62, height / 26))


@cache
def font(size: float) -> ImageFont.FreeTypeFont:
    """The face that has every glyph of `dicom_node.explain.phrases`."""
    face = (files("dicom_node.explain") / "fonts" / _FACE).read_bytes()
    return ImageFont.truetype(BytesIO(face), round(size))


def _wrapped(line: Line, body: float, width: int) -> list[Line]:
    """The line, broken where it is wider than ``width``."""
    face = font(body * line.scale)
    if face.getlength(line.text) <= width:
        return [line]
    pieces: list[str] = []
    for word in _UNBREAKABLE.findall(line.text):
        if pieces and face.getlength(pieces[-1] + word.rstrip()) <= width:
            pieces[-1] += word
        else:
            pieces.append(word)
    return [replace(line, text=piece.rstrip()) for piece in pieces]


def _draw_bar(strip: Image.Image, bar: Bar, corner: tuple[int, int], body: float) -> None:
    """A gradient with its ticks below and its meaning to the right."""
    face = font(body)
    left, top = corner[0], corner[1] + round(body * 0.4)
    right, bottom = left + strip.width // 3, top + round(body * 1.1)
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    ramp = ramp.resize((right - left, bottom - top))
    ramp.putpalette(list(bar.colours))
    strip.paste(ramp.convert("RGB"), (left, top))
    pen = ImageDraw.Draw(strip)
    line = max(1, round(body / 14))
    pen.rectangle((left, top, right, bottom), outline=palette.FAINT, width=line)
    under = bottom + round(body / 3)
    for place, text in bar.ticks:
        x = left + round(place * (right - left))
        inner = 0.0 < place < 1.0
        pen.line((x, top if inner else bottom, x, under), palette.CONTOUR, width=line)
        anchor = "mt" if inner else "lt" if place == 0.0 else "rt"
        pen.text((x, under + line), text, palette.TEXT, face, anchor=anchor)
    beside = (right + round(body), top - round(body * 0.3))
    pen.multiline_text(beside, bar.text, palette.TEXT, face, spacing=round(body * 0.15))
