"""The strip beside the film: shapes, words, scales, warnings and small print, from top to bottom.

A state is a shape and a word; its colour only repeats them.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from dicom_node.explain import palette
from dicom_node.explain.canvas import font, wrapped
from dicom_node.explain.message import Answer, State
from dicom_node.explain.paint import Colour
from dicom_node.explain.phrases import Words

#: What is tried, the largest first, until everything fits.
SCALES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)

_STATE_COLOURS: dict[State, Colour] = {
    State.ABOVE: palette.CONTOUR,
    State.JUST_ABOVE: palette.CONTOUR,
    State.JUST_BELOW: palette.TEXT,
    State.BELOW: palette.TEXT,
    State.NOT_ASSESSED: palette.FAINT,
}
_FINE = 4  # shapes are drawn at this multiple of the size and averaged, for smooth edges


class Strip:
    """A strip that is written from top to bottom.

    Parameters
    ----------
    size
        Width and height, pixels.
    unit
        Pixels of a thousandth of the page's width; every size is a multiple of it.
    scale
        Of everything but the banner.
    dry
        Whether to measure only: no letter and no shape is drawn.
    """

    def __init__(
        self, size: tuple[int, int], unit: float, scale: float = 1.0, *, dry: bool = False
    ) -> None:
        self._width = size[0]
        self.image = Image.new("RGB", (1, 1) if dry else size)
        self.unit, self.scale, self._dry = unit, scale, dry
        self._pen = ImageDraw.Draw(self.image)
        self._margin = 15 * unit
        self._top = 0.0
        self._bottom = float(size[1])

    @property
    def fits(self) -> bool:
        """Whether what was written from the top and from the bottom do not overlap."""
        return self._top <= self._bottom

    def banner(self, lines: Sequence[str]) -> None:
        """Write the disclaimer, each line as large as the width allows, up to a limit."""
        width, height, top = self._width, 34 * self.unit, self._top
        bottom = top + height * len(lines) + 8 * self.unit
        self._pen.rectangle((0, top, width, bottom), palette.BANNER)
        for number, line in enumerate(lines):
            size = 23 * self.unit
            size = min(
                size, size * (width - 1.2 * self._margin) / font(size, bold=True).getlength(line)
            )
            middle = top + 4 * self.unit + height * (number + 0.5)
            self._text((width / 2, middle), line, palette.WARNING, font(size, bold=True), "mm")
        self._top = bottom + 8 * self.unit

    def answer(self, answer: Answer, words: Words) -> None:
        """Write a question, its state as shape and word, and the score on a scale."""
        small, self.scale = self.scale, self.scale**0.5  # what else there is to say shrinks first
        u = self._scaled(1)
        colour = _STATE_COLOURS[answer.state]
        self.line(answer.name, 21, bold=True)
        room = self._width - 2 * self._margin - 33 * u
        if answer.score is not None:
            face = font(42 * u, bold=True)
            room -= face.getlength("100") + 4 * u
            right = self._width - self._margin
            self._text((right, self._top + 17 * u), str(answer.score), colour, face, "rm")
        self._shape(answer.state, (self._margin, self._top + 4 * u), 26 * u)
        face = font(22 * u, bold=True)
        lines = wrapped(answer.said, face, room)
        for number, line in enumerate(lines):
            middle = self._top + (17 + 28 * number) * u
            self._text((self._margin + 33 * u, middle), line, colour, face, "lm")
        self._top += (44 + 22 * (len(lines) - 1)) * u
        if answer.score is not None and answer.cut_off is not None:
            self._ruler(answer.score, answer.cut_off, words, colour)
        self.space(14)
        self.scale = small

    def rule(self) -> None:
        """Draw a line across."""
        right = self._width - self._margin
        self._pen.line((self._margin, self._top, right, self._top), palette.TRACK, self._thick(1))
        self.space(7)

    def line(
        self, text: str, size: float, colour: Colour = palette.TEXT, *, bold: bool = False
    ) -> None:
        """Write a paragraph; ``size`` in thousandths of the page's width."""
        face = font(self._scaled(size), bold=bold)
        for line in wrapped(text, face, self._width - 2 * self._margin):
            self._text((self._margin, self._top + 0.7 * face.size), line, colour, face, "lm")
            self._top += 1.35 * face.size

    def place(self, number: int, text: str) -> None:
        """Write the place of a numbered region."""
        u = self._scaled(1)
        self.badge((self._margin + 13 * u, self._top + 16 * u), str(number), 12 * u)
        face = font(21 * u, bold=True)
        self._text((self._margin + 34 * u, self._top + 16 * u), text, palette.TEXT, face, "lm")
        self._top += 34 * u

    def badge(self, middle: tuple[float, float], text: str, radius: float) -> None:
        """Draw a number in a ring."""
        if self._dry:
            return
        side = round(2 * radius) + 2
        picture = ring(text, side)
        corner = (round(middle[0] - side / 2), round(middle[1] - side / 2))
        self.image.paste(picture, corner, picture)

    def box(self, text: str) -> None:
        """Write a warning in a box, beside an exclamation mark."""
        u = self._scaled(1)
        face = font(16.5 * u)
        left, right = self._margin + 28 * u, self._width - self._margin - 6 * u
        lines = wrapped(text, face, right - left)
        height = 1.32 * face.size * len(lines) + 14 * u
        frame = (
            0.5 * self._margin,
            self._top,
            self._width - 0.5 * self._margin,
            self._top + height,
        )
        self._pen.rectangle(frame, palette.BOX, palette.WARNING, self._thick(2))
        mark = (self._margin + 7 * u, self._top + height / 2)
        self._text(mark, "!", palette.WARNING, font(28 * u, bold=True), "mm")
        for number, line in enumerate(lines):
            middle = self._top + 7 * u + 1.32 * face.size * (number + 0.5)
            self._text((left, middle), line, palette.TEXT, face, "lm")
        self._top += height + 8 * u

    def bar(self, colours: Sequence[int], ticks: Sequence[tuple[float, str]], text: str) -> None:
        """Draw a colour bar from 0 to 1 with its ticks, and its meaning above."""
        u = self._scaled(1)
        self.line(text, 15, palette.FAINT)
        left, right = self._margin, self._width - self._margin
        ramp = Image.frombytes("P", (256, 1), bytes(range(256)))
        ramp.putpalette(list(colours))
        size = (round(right - left), round(14 * u))
        if not self._dry:
            corner = (round(left), round(self._top + 4 * u))
            self.image.paste(ramp.convert("RGB").resize(size), corner)
        self._top += 20 * u
        for place, tick in ticks:
            anchor = "ra" if place == 1 else "la" if place == 0 else "ma"
            self._text(
                (left + place * (right - left), self._top), tick, palette.TEXT, font(14 * u), anchor
            )
        self._top += 26 * u

    def small_print(self, lines: Sequence[str]) -> None:
        """Write lines that end at the bottom."""
        face = font(13.5 * self._scaled(1))
        width = self._width - 2 * self._margin
        broken = [piece for line in lines for piece in wrapped(line, face, width)]
        self._bottom -= 1.35 * face.size * len(broken) + 8 * self.unit
        for number, line in enumerate(broken):
            middle = self._bottom + 1.35 * face.size * (number + 0.5)
            self._text((self._margin, middle), line, palette.FAINT, face, "lm")

    def space(self, units: float) -> None:
        """Leave room."""
        self._top += self._scaled(units)

    def sign(self, state: State | None, side: float) -> None:
        """Draw a state's shape by itself; None is a refusal's."""
        self._shape(state, (self._margin, self._top), self._scaled(side))
        self.space(side)

    def _text(
        self,
        place: tuple[float, float],
        text: str,
        colour: Colour,
        face: ImageFont.FreeTypeFont,
        anchor: str,
    ) -> None:
        if not self._dry:
            self._pen.text(place, text, colour, face, anchor)

    def _scaled(self, units: float) -> float:
        return units * self.unit * self.scale

    def _thick(self, units: float) -> int:
        return max(1, round(units * self.unit))

    def _ruler(self, score: int, cut_off: int, words: Words, colour: Colour) -> None:
        u = self._scaled(1)
        left, right = self._margin, self._width - self._margin
        at, cut = (left + (right - left) * each / 100 for each in (score, cut_off))
        self._paste_shape("down", (at - 9 * u, self._top), 18 * u, colour)
        top, bottom = self._top + 18 * u, self._top + 27 * u
        self._pen.rectangle((left, top, cut, bottom), palette.TRACK)
        self._pen.rectangle((cut, top, right, bottom), palette.TRACK_ABOVE)
        self._pen.rectangle((cut - u, top - 4 * u, cut + u, bottom + 4 * u), palette.WHITE)
        face = font(14.5 * u)
        under = bottom + 5 * u
        label = words.cut_off.format(cut_off=cut_off)
        half = face.getlength(label) / 2
        middle = min(max(cut, left + half), right - half)
        self._text((middle, under), label, palette.TEXT, face, "ma")
        for place, tick, anchor in ((left, "0", "la"), (right, "100", "ra")):
            if abs(place - middle) > half + face.getlength(tick) + 4 * u:
                self._text((place, under), tick, palette.FAINT, face, anchor)
        self._top = under + 22 * u

    def _shape(self, state: State | None, corner: tuple[float, float], side: float) -> None:
        names = {
            State.ABOVE: "up", State.JUST_ABOVE: "up-open", State.JUST_BELOW: "down-open",
            State.BELOW: "ring", State.NOT_ASSESSED: "dash", None: "no",
        }  # fmt: skip
        colour = palette.WARNING if state is None else _STATE_COLOURS[state]
        self._paste_shape(names[state], corner, side, colour)

    def _paste_shape(
        self, name: str, corner: tuple[float, float], side: float, colour: Colour
    ) -> None:
        if not self._dry:
            mask = _mask(name, max(4, round(side)))
            self.image.paste(colour, (round(corner[0]), round(corner[1])), mask)


def ring(text: str, side: int) -> Image.Image:
    """Return a number on a dark disc with a bright ring, RGBA, (side, side)."""
    big = Image.new("RGBA", (side * _FINE, side * _FINE))
    pen = ImageDraw.Draw(big)
    edge = side * _FINE - 1
    pen.ellipse((0, 0, edge, edge), (*palette.RIM, 255), (*palette.CONTOUR, 255), edge // 10)
    middle = side * _FINE / 2
    pen.text((middle, middle), text, (*palette.CONTOUR, 255), font(0.62 * edge, bold=True), "mm")
    return big.reduce(_FINE)


def _mask(name: str, side: int) -> Image.Image:
    """Return a shape as coverage from 0 to 255, (side, side)."""
    s = side * _FINE
    mask = Image.new("L", (s, s))
    pen = ImageDraw.Draw(mask)
    up = [(0.5 * s, 0.06 * s), (0.98 * s, 0.94 * s), (0.02 * s, 0.94 * s)]
    hole = [(0.5 * s, 0.34 * s), (0.78 * s, 0.81 * s), (0.22 * s, 0.81 * s)]
    if name.startswith(("up", "down")):
        pen.polygon(up, 255)
        if name.endswith("open"):
            pen.polygon(hole, 0)
    elif name == "ring":
        pen.ellipse((0.1 * s, 0.1 * s, 0.9 * s, 0.9 * s), 0, 255, round(0.14 * s))
    elif name == "dash":
        pen.rectangle((0.1 * s, 0.42 * s, 0.9 * s, 0.58 * s), 255)
    else:
        pen.ellipse((0.04 * s, 0.04 * s, 0.96 * s, 0.96 * s), 0, 255, round(0.13 * s))
        pen.line((0.2 * s, 0.2 * s, 0.8 * s, 0.8 * s), 255, round(0.13 * s))
    if name.startswith("down"):
        mask = mask.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return mask.reduce(_FINE)
