"""Lay out a page: the film in a square at the left, what is said about it in a strip at the right.

Every page of a node has the same size, and all sizes on it are parts of its width: it looks the
same on every screen to which it is fitted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO

from PIL import ImageFont

#: The film's square is as high as the page, and this share of its width; the strip has the rest.
FILM_SHARE = 0.7

_FACES = {False: "NotoSansCJKtc-Regular-subset.otf", True: "NotoSansCJKtc-Bold-subset.otf"}
# Units that are not broken over lines: a word, or a Chinese character with its punctuation
_UNBREAKABLE = re.compile(r"[\u4e00-\u9fff][\u3000-\u303f\uff00-\uffef]*\s*|[^\s\u4e00-\u9fff]+\s*")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a page, pixels."""

    left: int
    top: int
    width: int
    height: int

    def fitted(self, shape: tuple[int, ...]) -> Box:
        """Return the largest box of this (rows, columns) shape in the middle of the box."""
        scale = min(self.width / shape[1], self.height / shape[0])
        width, height = max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))
        return Box(
            self.left + (self.width - width) // 2,
            self.top + (self.height - height) // 2,
            width,
            height,
        )


@dataclass(frozen=True, slots=True)
class Page:
    """The sizes of a page of a given width, pixels."""

    width: int

    @property
    def height(self) -> int:
        """As high as the film's square is wide."""
        return round(self.width * FILM_SHARE)

    @property
    def film(self) -> Box:
        """The square of the film."""
        return Box(0, 0, self.height, self.height)

    @property
    def strip(self) -> Box:
        """What is right of the film."""
        return Box(self.height, 0, self.width - self.height, self.height)

    @property
    def small_film(self) -> Box:
        """The film of a refusal: it makes room for the reason."""
        side = self.strip.width
        return Box(0, 0, side, self.height)

    @property
    def wide_strip(self) -> Box:
        """The strip of a refusal."""
        return Box(self.strip.width, 0, self.width - self.strip.width, self.height)


@cache
def font(size: float, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the face that has every glyph of `phrases` and `refusals`; ``size`` in pixels."""
    face = (files("dicom_node.explain") / "fonts" / _FACES[bold]).read_bytes()
    return ImageFont.truetype(BytesIO(face), max(1, round(size)))


def wrapped(text: str, face: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break the text into lines no wider than ``width`` pixels."""
    lines: list[str] = []
    for word in _UNBREAKABLE.findall(text):
        if lines and face.getlength(lines[-1] + word.rstrip()) <= width:
            lines[-1] += word
        else:
            lines.append(word)
    return [line.rstrip() for line in lines]
